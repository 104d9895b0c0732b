/*
 * Changes to a session's namespace while it is served: jobs of the manager's (manager.h).
 *
 * Each logs what goes wrong, and leaves everything as it was then.  A key comes and goes by
 * the step that a reload takes for it, with all that is declared above and below it.
 *
 * Keys that are added are kept in the session as texts, so that a reload, which reads
 * everything again, has them, too.  Once the file declares something at its path that rules,
 * and the key is no added one any more.  A key that is removed and that the file declares
 * comes back with the next reload.
 */
#ifndef RF_DAEMON_CHANGES_H
#define RF_DAEMON_CHANGES_H

#include <stdbool.h>

#include "daemon/reload.h"

struct session;

/* Adds the key that text declares, in the form of -k.  0; -EEXIST: there is something at its
 * path; -EINVAL: the text; or why it was refused. */
int change_add(struct session *s, const char *text);
/* Removes the key at this path.  0; -EINVAL: no path; -ENOENT: no key; -EBUSY: a file system
 * is mounted from it. */
int change_remove(struct session *s, const char *path);
/* Reads the configuration again.  0, -ENOENT: there is no file, -EINVAL: it has not been
 * applied. */
int change_reload(struct session *s, struct reload_result *ret);
/* Makes the whole read-only, or writable again as far as it was configured to be.
 * 0; -EROFS: the configuration has access = ro; or why a key cannot be written.  Images that
 * were mounted read-only stay so. */
int change_access(struct session *s, bool rdonly);

#endif
