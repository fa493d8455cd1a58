/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say what a cluster is to be, of every command that needs to know. */
#ifndef MK_CMD_SHAPE_H
#define MK_CMD_SHAPE_H

#include "cmd/command.h"
#include "lib/cluster/spec.h"

struct mk_shape {
	const char *name;
	const char *config;
	const char *image;
	int64_t control_planes; /* -1: not given */
	int64_t workers;
	int profile;
	bool openfaas;
};

#define MK_SHAPE_INIT                                                                              \
	{                                                                                          \
		.control_planes = -1, .workers = -1, .profile = -1, .openfaas = true               \
	}

extern const char *const mk_profile_choices[];

/** Entries of a command's table of options; `options` is its struct, whose member
 * `shape` they set. */
#define MK_SHAPE_OPTIONS(options)                                                                  \
	MK_NAME_MEMBER_OPTION(options, shape.name, "the cluster's name (mkcluster)"),              \
		{ .name = "config",                                                                \
			.kind = MK_OPTION_STRING,                                                  \
			.value = "FILE",                                                           \
			.offset = offsetof(options, shape.config),                                 \
			.help = "read a cluster config; - is standard input" },                    \
		{ .name = "image",                                                                 \
			.kind = MK_OPTION_STRING,                                                  \
			.value = "IMAGE",                                                          \
			.offset = offsetof(options, shape.image),                                  \
			.help = "node image (" MK_DEFAULT_IMAGE ")" },                             \
		{ .name = "control-planes",                                                        \
			.kind = MK_OPTION_NUMBER,                                                  \
			.value = "N",                                                              \
			.offset = offsetof(options, shape.control_planes),                         \
			.help = "number of control planes, odd (1)" },                             \
		{ .name = "workers",                                                               \
			.letter = 'w',                                                             \
			.kind = MK_OPTION_NUMBER,                                                  \
			.value = "N",                                                              \
			.offset = offsetof(options, shape.workers),                                \
			.help = "number of workers (0)" },                                         \
		{ .name = "no-openfaas",                                                           \
			.kind = MK_OPTION_OFF,                                                     \
			.offset = offsetof(options, shape.openfaas),                               \
			.help = "Kubernetes only" },                                               \
	{                                                                                          \
		.name = "profile", .kind = MK_OPTION_CHOICE, .choices = mk_profile_choices,        \
		.offset = offsetof(options, shape.profile),                                        \
		.help = "rights of the node's container (auto)"                                    \
	}

/**
 * Make the spec of a config file and flags: checked and settled. With `here` what
 * the file says of this host must be so. MK_EUSAGE.
 */
int mk_shape_make(const struct mk_shape *shape, bool here, struct mk_cluster_spec *spec,
	struct mk_error *err) MK_CHECKED;

#endif
