/*
 * The answer to explain (control.h).
 */
#include "daemon/control_private.h"
#include "daemon/session.h"

void
control_explain(struct session *s, const char *path, struct jw *w)
{
	struct catalog *cg = catalog_get(&s->s_catalog);
	const struct entry *en = cg ? catalog_above(cg, path) : NULL;

	jw_text(w, "path", path);
	jw_text(w, "covered_by", en ? en->en_path : "/");
	catalog_unref(cg);
}
