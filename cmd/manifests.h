/* SPDX-License-Identifier: Apache-2.0 */
/* What `apply -f` and `delete -f` share: reading files, and showing outcomes. */
#ifndef MK_CMD_MANIFESTS_H
#define MK_CMD_MANIFESTS_H

#include "cmd/command.h"
#include "lib/kube/manifest.h"
#include "lib/kube/target.h"

/**
 * Read all that -f names: files, folders, stdin, and repositories (lib/git/source.h),
 * which may have to be fetched; how that goes is shown. MK_EUSAGE with every mistake.
 */
int mk_manifests_of(const struct mk_strlist *files, bool recursive,
	const struct mk_context *context, struct mk_manifests *ret,
	struct mk_error *err) MK_CHECKED;

/** kubectl's words but "client", which knows no schema: "none", "server". */
extern const char *const mk_dry_run_choices[];

/** MK_EUSAGE when the option's value cannot be the name of an object. */
int mk_check_object_name(const char *option, const char *name, struct mk_error *err) MK_CHECKED;

/** Prints outcomes as they come, or keeps them for JSON. */
struct mk_outcomes {
	int output;       /* enum mk_output */
	const char *note; /* said behind each line: " (server dry run)", or "" */
	bool quiet;
	json_t *list; /* NULL at first */
};

/** A mk_outcome_report; the payload is a struct mk_outcomes. */
void mk_outcomes_report(void *payload, const struct mk_outcome *outcome);

/** Print what was kept, and free it. */
void mk_outcomes_end(struct mk_outcomes *outcomes);

#endif
