/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/undo.h"

#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"

/* How long an engine may still be busy with a request that we have dropped. */
#define SETTLE_MS 400

int mk_undo_run(struct mk_docker *docker, const char *run_id, const struct mk_error *why,
	struct mk_error *err)
{
	bool dropped = why->code == MK_EINTR || why->code == MK_ENET || why->code == MK_ETIMEOUT;
	int r = mk_cluster_remove(docker, MK_LABEL_RUN, run_id, NULL, err);

	if (r < 0 || !dropped)
		return r;
	mk_interrupt_shield(true);
	(void)!mk_sleep_ms(SETTLE_MS, err);
	mk_interrupt_shield(false);
	return mk_cluster_remove(docker, MK_LABEL_RUN, run_id, NULL, err);
}

void mk_undo_report(struct mk_error *err, int r, const struct mk_error *second)
{
	mk_autofree char *first = mk_xstrdup(err->message);
	enum mk_code code = err->code;

	if (r < 0)
		(void)mk_fail(err, code, "%s; and cleaning up failed: %s", first, second->message);
	else if (code == MK_EINTR)
		(void)mk_fail(err, code, "%s; what it made is removed", first);
}
