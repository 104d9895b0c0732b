/*
 * What a session asks of the kernel beside requests: to open without messages, to write later,
 * to use files without us; and what has to be made ready for that.  The kernel's answer to the
 * greeting says what it grants (fe.h).
 */
#ifndef RF_DAEMON_ASKS_H
#define RF_DAEMON_ASKS_H

#include "daemon/session.h"

/* What the configuration asks for, before the mount. */
void asks_init(struct session *s);
/* Mounted, and rights have not been given up. */
void asks_mounted(struct session *s);
/* The kernel has said hello (called by a worker). */
void asks_agreed(struct session *s);
/* The mount has answered: the kernel goes by what has been agreed on. */
void asks_answered(const struct session *s);
/* The end; what was made ready and not used goes. */
void asks_done(struct session *s);

#endif
