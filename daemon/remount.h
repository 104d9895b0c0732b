/*
 * A mount that is there takes on other flags: mount -o remount.
 *
 * mount(8) calls the program anew for that, with the word remount among its options, and so
 * does systemctl reload of a mount unit.  The process that serves the mount is another one,
 * which is asked over its control socket.  The kernel's flags are changed here.
 */
#ifndef RF_DAEMON_REMOUNT_H
#define RF_DAEMON_REMOUNT_H

#include <stdbool.h>

struct mnttab_entry;
struct options;

/* An exit code, after error messages.  pretend: what would be refused in any case is, and
 * nothing is changed. */
int remount_run(const struct options *o, bool pretend);

/* The flags of mount(2) that a mount has when those that were named are changed. */
unsigned long remount_flags(const struct options *o, const struct mnttab_entry *e);

#endif
