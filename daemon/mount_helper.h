/*
 * The program as mount(8)'s helper: mount.rumpfuse(8).
 *
 *	mount.rumpfuse SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o LIST]
 *
 * The same program, chosen by its name, with mount(8)'s grammar and exit codes.
 */
#ifndef RF_DAEMON_MOUNT_HELPER_H
#define RF_DAEMON_MOUNT_HELPER_H

#include <stdbool.h>

/* Is the program called by a helper's name? */
bool mount_helper_is(const char *argv0);
/* An exit code of mount(8). */
int mount_helper_main(int argc, char **argv);

#endif
