/*
 * Holds a directory: lists it into a page that never comes, so that the kernel keeps the
 * directory's lock.
 *
 *	p-hold DIR
 *
 * Prints "held" when it does, and holds until it is killed.  The exit status is 3 if this
 * user may not have the kernel wait for a page (userfaultfd(2)), 1 if anything else fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int dir;
static void *page;

static void *
list(void *arg)
{
	(void)arg;
	(void)!syscall(SYS_getdents64, dir, page, 4096);
	printf("the listing came to its end\n");
	fflush(stdout);
	_exit(1);
}

int
main(int argc, char **argv)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffd_msg msg;
	pthread_t thread;
	int fd;

	if (argc != 2)
		return 1;
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0) {
		perror("userfaultfd");
		return errno == EPERM || errno == ENOSYS ? 3 : 1;
	}
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	page =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (unsigned long)page;
	reg.range.len = 4096;
	if (dir < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &reg) < 0 ||
	    pthread_create(&thread, NULL, list, NULL) != 0 ||
	    read(fd, &msg, sizeof(msg)) != sizeof(msg)) {
		perror(argv[1]);
		return 1;
	}
	printf("held\n");
	fflush(stdout);
	for (;;)
		pause();
}
