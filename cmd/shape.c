/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/shape.h"

#include "lib/cluster/config.h"

const char *const mk_profile_choices[] = { "auto", "privileged", "restricted", NULL };

static int read_config(
	const char *path, bool here, struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autofree char *name = NULL;
	mk_autodecode d = { .what = NULL };
	int r = mk_config_read(spec, path, here ? MK_CONFIG_HOST : 0, &d, &name, err);

	return r < 0 ? r : mk_decode_finish(&d, err);
}

/* Two answers to one question: the file's list is the longer one. */
static int check_counts(
	const struct mk_shape *shape, const struct mk_cluster_spec *spec, struct mk_error *err)
{
	if (spec->node_count == 0 || (shape->workers < 0 && shape->control_planes < 0))
		return 0;
	(void)mk_fail(err, MK_EUSAGE, "--%s cannot be given: '%s' lists the nodes",
		shape->workers >= 0 ? "workers" : "control-planes", shape->config);
	mk_error_hint(err, "add to the list, or have controlPlanes and workers instead of it");
	return -MK_EUSAGE;
}

static void replace(char **member, const char *value)
{
	if (!value)
		return;
	free(*member);
	*member = mk_xstrdup(value);
}

static void apply(const struct mk_shape *shape, struct mk_cluster_spec *spec)
{
	replace(&spec->name, shape->name);
	replace(&spec->image, shape->image);
	if (shape->control_planes >= 0)
		spec->control_planes = shape->control_planes;
	if (shape->workers >= 0)
		spec->workers = shape->workers;
	if (!shape->openfaas)
		spec->openfaas = false;
	if (shape->profile >= 0)
		spec->profile = (enum mk_profile)shape->profile;
}

int mk_shape_make(
	const struct mk_shape *shape, bool here, struct mk_cluster_spec *spec, struct mk_error *err)
{
	int r = shape->config ? read_config(shape->config, here, spec, err) : 0;

	if (r == 0)
		r = check_counts(shape, spec, err);
	if (r < 0)
		return r;
	apply(shape, spec);
	r = mk_cluster_spec_check(spec, err);
	if (r == 0)
		mk_cluster_spec_settle(spec);
	return r;
}
