/*
 * A mount that is there takes on other flags: mount -o remount.
 *
 * mount(8) calls the program anew for that, with the word remount among its options, and so
 * does systemctl reload of a mount unit.  The process that serves the mount is another one,
 * which is asked over its control socket.  The kernel's flags are changed here.
 */
#ifndef RF_DAEMON_REMOUNT_H
#define RF_DAEMON_REMOUNT_H

struct options;

/* An exit code, after error messages. */
int remount_run(const struct options *o);

#endif
