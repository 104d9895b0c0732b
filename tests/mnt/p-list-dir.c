/*
 * The list, part two: listing directories.  See list.h.
 */
#include "list.h"

#include <sys/sysmacros.h>

/* Counts the entries of ".", and how often one name comes. */
static unsigned
entries(const char *name, unsigned *ret_times)
{
	DIR *d = opendir(".");
	struct dirent *e;
	unsigned n = 0, times = 0;

	while (d && (e = readdir(d))) {
		n++;
		times += strcmp(e->d_name, name) == 0;
	}
	if (d)
		closedir(d);
	if (ret_times)
		*ret_times = times;
	return n;
}

static unsigned char
type_of(const char *name)
{
	DIR *d = opendir(".");
	struct dirent *e;
	unsigned char t = 255;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, name) == 0)
			t = e->d_type;
	if (d)
		closedir(d);
	return t;
}

GROUP(readdir)
{
	unsigned times;

	IS(entries(".", &times), 2);
	IS(times, 1);
	entries("..", &times);
	IS(times, 1);
	OK(mkdir("d", 0755));
	l_file("f", "");
	OK(symlink("x", "l"));
	OK(mkfifo("p", 0600));
	OK(mknod("s", S_IFSOCK | 0600, 0));
	OK(mknod("c", S_IFCHR | 0600, makedev(1, 3)));
	OK(mknod("b", S_IFBLK | 0600, makedev(7, 0)));
	IS(entries("f", &times), 9);
	IS(times, 1);
	IS(type_of("d"), DT_DIR);
	IS(type_of("f"), DT_REG);
	IS(type_of("l"), DT_LNK);
	IS(type_of("p"), DT_FIFO);
	IS(type_of("s"), DT_SOCK);
	IS(type_of("c"), DT_CHR);
	IS(type_of("b"), DT_BLK);
	IS(type_of("."), DT_DIR);
	OK(unlink("f"));
	IS(entries("f", &times), 8);
	IS(times, 0);
	OK(rename("l", "m"));
	entries("l", &times);
	IS(times, 0);
	entries("m", &times);
	IS(times, 1);
	ERR(ENOTDIR, open("p/", O_RDONLY | O_DIRECTORY));
}

#define STABLE 600

/* Which of the STABLE files a listing returned, and whether any came twice.  Every 50
 * entries "change" is called. */
static void
scan(unsigned char *seen, unsigned *ret_twice, void (*change)(unsigned))
{
	DIR *d = opendir(".");
	struct dirent *e;
	unsigned n = 0;

	memset(seen, 0, STABLE);
	*ret_twice = 0;
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "stay", 4) == 0) {
			unsigned i = (unsigned)atoi(e->d_name + 4);
			*ret_twice += seen[i]++ != 0;
		}
		if (++n % 50 == 0)
			change(n / 50);
	}
	if (d)
		closedir(d);
}

static void
churn(unsigned round)
{
	char name[32];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "go%u", (round - 1) * 40 + i);
		unlink(name);
		if (round < 12) {
			snprintf(name, sizeof(name), "new%u.%u", round, i);
			close(open(name, O_CREAT | O_RDWR, 0644));
		}
	}
}

GROUP(readdir_while_changing)
{
	static unsigned char seen[STABLE];
	unsigned twice, missing = 0;
	char name[32];

	for (unsigned i = 0; i < STABLE; i++) {
		snprintf(name, sizeof(name), "go%u", i);
		close(open(name, O_CREAT | O_RDWR, 0644));
		snprintf(name, sizeof(name), "stay%u", i);
		close(open(name, O_CREAT | O_RDWR, 0644));
	}
	scan(seen, &twice, churn);
	for (unsigned i = 0; i < STABLE; i++)
		missing += !seen[i];
	IS(missing, 0);
	IS(twice, 0);
	/* Removing what has been listed, as rm -r does. */
	DIR *d = opendir(".");
	struct dirent *e;
	while (d && (e = readdir(d)))
		unlink(e->d_name);
	if (d)
		closedir(d);
	IS(entries("x", NULL), 2);
}

GROUP(telldir)
{
	long pos[300];
	char names[300][32];
	unsigned n = 0, bad = 0;
	struct dirent *e;
	DIR *d;

	for (unsigned i = 0; i < 200; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file%u", i);
		close(open(name, O_CREAT | O_RDWR, 0644));
	}
	d = opendir(".");
	T(d != NULL);
	if (!d)
		return;
	pos[0] = telldir(d);
	while (n < 299 && (e = readdir(d))) {
		snprintf(names[n], sizeof(names[n]), "%.31s", e->d_name);
		pos[++n] = telldir(d);
	}
	IS(n, 202);
	for (unsigned i = n; i-- > 0;) {
		seekdir(d, pos[i]);
		e = readdir(d);
		bad += !e || strcmp(e->d_name, names[i]) != 0;
	}
	IS(bad, 0);
	seekdir(d, pos[n]);
	T(readdir(d) == NULL);
	rewinddir(d);
	e = readdir(d);
	T(e && strcmp(e->d_name, names[0]) == 0);
	/* A name made after opendir is seen after rewinddir. */
	close(open("late", O_CREAT | O_RDWR, 0644));
	rewinddir(d);
	bool late = false;
	while ((e = readdir(d)))
		late |= strcmp(e->d_name, "late") == 0;
	T(late);
	closedir(d);
}
