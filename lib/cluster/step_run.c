/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/step_run.h"

#include "lib/base/clock.h"

static int run_step(const struct mk_run_step *step, void *arg,
	const struct mk_create_report *report, struct mk_error *err)
{
	mk_autofree char *note = NULL;
	int64_t start = mk_now_ms();
	int r;

	if (mk_interrupted())
		return mk_fail_interrupted(err);
	if (report->begin)
		report->begin(report->payload, step->title);
	r = step->run(arg, &note, err);
	if (r < 0)
		return mk_error_wrap(err, "%s", step->title);
	if (report->end)
		report->end(report->payload, step->title, mk_now_ms() - start, note);
	return 0;
}

int mk_steps_run(const struct mk_run_step *steps, size_t count, void *arg,
	const struct mk_create_report *report, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (!steps[i].skip || !steps[i].skip(arg))
			r = run_step(&steps[i], arg, report, err);
	}
	return r;
}
