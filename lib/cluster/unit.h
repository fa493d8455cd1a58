/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags in the command line of a systemd unit, as systemd.service(5), "Command
 * lines", reads it. The units of manifests/node write one flag a line, after the
 * program: that is what is looked for and what is added.
 */
#ifndef MK_CLUSTER_UNIT_H
#define MK_CLUSTER_UNIT_H

#include "lib/base/json.h"

/** Append one word of a command line, so quoted and escaped that systemd gives the
 * program exactly these bytes. */
void mk_unit_add_word(struct mk_buf *line, const char *word);

/**
 * Set `--NAME=VALUE` in a unit's ExecStart: in the place of the flag's line, or as
 * a new last one. Of a name `_` and `-` are one, as for Kubernetes' programs.
 */
void mk_unit_set_flag(struct mk_buf *unit, const char *name, const char *value);

/** Set all flags of an object name -> value, in its order; NULL is none. Numbers
 * and booleans are written as the words they are. */
void mk_unit_set_flags(struct mk_buf *unit, const json_t *flags);

/** "a=true,b=false" of an object; NULL when it is empty or NULL. Caller frees. */
char *mk_unit_map_value(const json_t *map);

#endif
