/*
 * Going into the background (background.h).
 */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/progress.h"

#define ANSWER_WITHIN_S 30

static void *
ask_mount(void *arg)
{
	struct statvfs sv; /* of which nothing is cached */
	int r = statvfs(arg, &sv) < 0 ? errno : 0;

	return (void *)(intptr_t)r;
}

/* Does the mount answer?  A request to a mount that does not is killed with the process
 * that made it, so asking from a thread of a process that ends is safe. */
static int
probe_mount(const char *mountpoint)
{
	struct timespec until;
	pthread_t t;
	void *ret;
	int r = pthread_create(&t, NULL, ask_mount, (void *)(uintptr_t)mountpoint);

	if (r != 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ANSWER_WITHIN_S;
	r = pthread_timedjoin_np(t, &ret, &until);
	return r != 0 ? r : (int)(intptr_t)ret;
}

/* The parent: an exit code. */
static int
await_child(pid_t pid, int fd, const char *mountpoint)
{
	char byte;
	ssize_t n;
	int status, r;

	while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
		;
	close(fd);
	if (n == 1) {
		r = probe_mount(mountpoint);
		if (r == 0)
			return EXIT_OK;
		log_msg(LOG_ERR, "%s: the mount does not answer: %s", mountpoint,
		    strerror(r));
		kill(pid, SIGTERM);
		return EXIT_MOUNT;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_RUN;
	if (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_OK)
		return WEXITSTATUS(status);
	if (WIFEXITED(status)) {
		log_msg(LOG_ERR, "%s: unmounted before it answered", mountpoint);
		return EXIT_RUN;
	}
	progress_wipe();
	log_msg(LOG_ERR, "the daemon was ended by signal %d", WTERMSIG(status));
	return EXIT_RUN;
}

int
background_enter(struct background *bg, const char *mountpoint)
{
	int fds[2];
	pid_t pid;

	bg->bg_fd = -1;
	bg->bg_parent = false;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		log_msg(LOG_ERR, "pipe: %s", strerror(errno));
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		log_msg(LOG_ERR, "fork: %s", strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	if (pid > 0) {
		close(fds[1]);
		bg->bg_parent = true;
		return await_child(pid, fds[0], mountpoint);
	}
	close(fds[0]);
	bg->bg_fd = fds[1];
	setsid();
	return 0;
}

void
background_ready(struct background *bg)
{
	int null;

	if (bg->bg_fd < 0)
		return;
	progress_detach();
	log_to_syslog();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		if (null > 2)
			close(null);
	}
	/* If the parent is gone there is nobody to tell. */
	if (write(bg->bg_fd, "", 1) < 0)
		log_msg(LOG_DEBUG, "nobody waits for the mount");
	close(bg->bg_fd);
	bg->bg_fd = -1;
}
