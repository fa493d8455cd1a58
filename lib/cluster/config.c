/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config files: which format one is of, and what follows its decoding. */
#include "lib/cluster/config_internal.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/schema.h"

#include <libgen.h>
#include <unistd.h>

#define KIND_GROUP "kind.x-k8s.io/"

const struct mk_config_names mk_config_own_names = {
	.mounts = "mounts", .ports = "ports", .validity = "certificates.validity", .own = true
};
const struct mk_config_names mk_config_kind_names = {
	.mounts = "extraMounts", .ports = "extraPortMappings", .validity = "kubeadmConfigPatches"
};

/* The flags that stand in the file itself; those of kind's files come in patches. */
static void check_flags(struct mk_decode *d, struct mk_cluster_spec *spec)
{
	static const char *const places[] = {
		[MK_COMPONENT_API_SERVER] = "components.apiServer.extraArgs",
		[MK_COMPONENT_CONTROLLER_MANAGER] = "components.controllerManager.extraArgs",
		[MK_COMPONENT_SCHEDULER] = "components.scheduler.extraArgs",
		[MK_COMPONENT_ETCD] = "components.etcd.extraArgs",
		[MK_COMPONENT_KUBELET] = "components.kubelet.extraArgs",
		[MK_COMPONENT_PROXY] = "components.kubeProxy.extraArgs",
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(places); i++) {
		enum mk_component component = (enum mk_component)i;

		mk_config_check_flags(
			d, component, *mk_config_args_of(spec, component), spec, places[i]);
	}
	for (size_t i = 0; i < spec->node_count; i++) {
		mk_autofree char *at = mk_xasprintf("nodes[%zu].kubeletArgs", i);

		mk_config_check_flags(
			d, MK_COMPONENT_KUBELET, spec->nodes[i].kubelet_args, spec, at);
	}
}

void mk_config_decode_own(
	struct mk_decode *d, const json_t *value, struct mk_cluster_spec *spec, const char *folder)
{
	struct mk_config_file file = { .spec = *spec };

	mk_decode_object(d, &mk_config_table, value, "", &file);
	/* With problems, too: what was replaced belongs to the caller's spec again. */
	*spec = file.spec;
	free(file.api_version);
	free(file.kind);
	free(file.ip_family);
	check_flags(d, spec);
	mk_config_settle_mounts(spec, folder);
	mk_config_load_certificates(d, spec, folder);
}

/* The counts are the list's, where there is one. */
static void count_nodes(struct mk_cluster_spec *spec)
{
	if (spec->node_count == 0)
		return;
	spec->control_planes = spec->workers = 0;
	for (size_t i = 0; i < spec->node_count; i++) {
		if (spec->nodes[i].role == MK_NODE_WORKER)
			spec->workers++;
		else
			spec->control_planes++;
	}
}

/* What settling and flags may add to it: nodes, another name. */
#define SPARE 16384

/* It is stored in the nodes, and must be readable from there. */
static void check_size(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE - SPARE);
	mk_autojson *value = NULL;
	mk_autoerror err = { .code = MK_OK };

	if (d->count == 0 &&
		(mk_cluster_spec_print(spec, &text, &err) < 0 ||
			mk_yaml_parse(text.data, text.len, "spec", &value, &err) < 0))
		mk_decode_problem(d, "",
			"is too large or too deep, once certificates and the settings of each node "
			"are written out");
}

static void read_text(struct mk_decode *d, const struct mk_buf *text, unsigned flags,
	const char *folder, struct mk_cluster_spec *spec)
{
	const struct mk_config_names *names = &mk_config_own_names;
	mk_autojson *value = NULL;

	if (!mk_decode_parse(d, text->data, text->len, &value))
		return;
	if (mk_after_prefix(mk_json_str(value, "apiVersion", ""), KIND_GROUP)) {
		names = &mk_config_kind_names;
		mk_config_decode_kind(d, value, spec);
	} else {
		mk_config_decode_own(d, value, spec, folder);
	}
	count_nodes(spec);
	mk_config_check(d, spec, names, flags);
	check_size(d, spec);
}

static char *working_folder(void)
{
	char *folder = getcwd(NULL, 0);

	if (folder && *folder == '/')
		return folder;
	free(folder);
	return mk_xstrdup("/");
}

/* Of the file; standard input stands where we are. Caller frees. */
static char *folder_of(const char *path)
{
	mk_autofree char *here = working_folder();
	mk_autofree char *copy = mk_xstrdup(path);

	return mk_fs_absolute(here, mk_streq(path, "-") ? "." : dirname(copy));
}

int mk_config_read(struct mk_cluster_spec *spec, const char *path, unsigned flags,
	struct mk_decode *d, char **ret_name, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *folder = folder_of(path);
	int r = mk_fs_read(path, &text, err);

	if (r < 0)
		return mk_error_recode(err, MK_EUSAGE);
	*ret_name = mk_xstrdup(mk_streq(path, "-") ? "standard input" : path);
	d->what = *ret_name;
	read_text(d, &text, flags, folder, spec);
	return 0;
}

int mk_cluster_spec_load(struct mk_cluster_spec *spec, const char *path, struct mk_error *err)
{
	mk_autofree char *name = NULL;
	mk_autodecode d = { .what = NULL };
	int r = mk_config_read(spec, path, 0, &d, &name, err);

	return r < 0 ? r : mk_decode_finish(&d, err);
}

int mk_cluster_spec_parse(struct mk_cluster_spec *spec, const char *data, size_t len,
	const char *what, struct mk_error *err)
{
	struct mk_buf text = { .data = (char *)(uintptr_t)data, .len = len };
	mk_autodecode d = { .what = what };
	mk_autofree char *folder = working_folder();

	if (len > MK_MAX_CONFIG_FILE)
		return mk_fail(
			err, MK_EUSAGE, "%s is larger than %zu bytes", what, MK_MAX_CONFIG_FILE);
	read_text(&d, &text, 0, folder, spec);
	return mk_decode_finish(&d, err);
}

static struct mk_config_file file_of(const struct mk_cluster_spec *spec)
{
	static char api_version[] = "mkcluster.dev/v1", kind[] = "Cluster", family[] = "ipv4";

	return (struct mk_config_file){
		.api_version = api_version, .kind = kind, .ip_family = family, .spec = *spec
	};
}

json_t *mk_cluster_spec_value(const struct mk_cluster_spec *spec)
{
	const struct mk_config_file file = file_of(spec);
	json_t *value = mk_table_value(&mk_config_table, &file);

	/* A list of nodes says it all. */
	if (spec->node_count > 0) {
		(void)json_object_del(value, "controlPlanes");
		(void)json_object_del(value, "workers");
	}
	return value;
}

int mk_cluster_spec_print(
	const struct mk_cluster_spec *spec, struct mk_buf *ret, struct mk_error *err)
{
	mk_autojson *value = mk_cluster_spec_value(spec);

	return mk_yaml_print(value, ret, err);
}

json_t *mk_config_schema(void)
{
	mk_autospec spec = mk_cluster_spec_init();
	const struct mk_config_file file = file_of(&spec);
	mk_autojson *rest = mk_table_schema(&mk_config_table, &file);
	json_t *schema = mk_json_pack("{s:s,s:s}", "$schema",
		"https://json-schema.org/draft/2020-12/schema", "title", "a cluster of mkcluster");

	(void)json_object_update(schema, rest);
	return schema;
}
