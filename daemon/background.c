/*
 * Going into the background (background.h).
 */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/progress.h"
#include "daemon/service.h"

enum {
	SAYS_READY = 'r',
	SAYS_FAILED = 'f',
};

/* The parent: an exit code. */
static int
await_child(pid_t pid, int fd)
{
	char byte;
	ssize_t n;
	int status;

	while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
		;
	close(fd);
	if (n == 1 && byte == SAYS_READY) {
		service_ready_as(pid);
		return EXIT_OK;
	}
	if (n == 1) {
		kill(pid, SIGTERM);
		return EXIT_MOUNT;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_RUN;
	if (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_OK)
		return WEXITSTATUS(status);
	if (WIFEXITED(status)) {
		log_msg(LOG_ERR, "unmounted before it answered");
		return EXIT_RUN;
	}
	progress_wipe();
	log_msg(LOG_ERR, "the daemon was ended by signal %d", WTERMSIG(status));
	return EXIT_RUN;
}

int
background_enter(struct background *bg)
{
	pid_t pid, self = getpid();
	int fds[2];

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
		return await_child(pid, fds[0]);
	}
	close(fds[0]);
	bg->bg_fd = fds[1];
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != self)
		_exit(EXIT_RUN);
	return 0;
}

void
background_mounted(struct background *bg)
{
	if (bg->bg_fd >= 0)
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

/* Once.  False: nobody hears it. */
static bool
say(struct background *bg, char what)
{
	bool heard;

	if (bg->bg_fd < 0)
		return true;
	heard = write(bg->bg_fd, &what, 1) == 1;
	close(bg->bg_fd);
	bg->bg_fd = -1;
	return heard;
}

void
background_failed(struct background *bg)
{
	(void)say(bg, SAYS_FAILED);
}

bool
background_ready(struct background *bg)
{
	int null;

	if (bg->bg_fd < 0)
		return true;
	progress_detach();
	log_to_syslog();
	/* Not before: to an automount point only the process group that serves it can come
	 * while it is being mounted on, and that is who has started us. */
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		if (null > 2)
			close(null);
	}
	return say(bg, SAYS_READY);
}
