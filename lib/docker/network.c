/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/docker/network.h"

int mk_network_list(struct mk_docker *docker, json_t **ret, struct mk_error *err)
{
	return mk_docker_call(docker, "GET", "/networks", NULL, ret, err);
}

int mk_network_inspect(struct mk_docker *docker, const char *id, json_t **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/networks/%s", id);

	return mk_docker_call(docker, "GET", path, NULL, ret, err);
}

int mk_network_create(struct mk_docker *docker, const char *name, const char *subnet,
	const char *gateway, int64_t mtu, const json_t *labels, char **ret_id, struct mk_error *err)
{
	mk_autofree char *mtu_text = mk_xasprintf("%lld", (long long)mtu);
	mk_autojson *body = mk_json_pack("{s:s,s:s,s:b,s:O,s:{s:s},s:{s:s,s:[{s:s,s:s}]}}", "Name",
		name, "Driver", "bridge", "CheckDuplicate", 1, "Labels", labels, "Options",
		MK_NETWORK_MTU, mtu_text, "IPAM", "Driver", "default", "Config", "Subnet", subnet,
		"Gateway", gateway);
	mk_autojson *answer = NULL;
	int r = mk_docker_call(docker, "POST", "/networks/create", body, &answer, err);

	/* 20.10 refuses an overlapping subnet with 403 and the word; later ones likewise. */
	if (r == -MK_EREMOTE && strstr(err->message, "overlap"))
		return mk_error_recode(err, MK_EEXISTS);
	if (r < 0)
		return r;
	*ret_id = mk_xstrdup(mk_json_str(answer, "Id", name));
	return 0;
}

int mk_network_remove(struct mk_docker *docker, const char *id, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/networks/%s", id);
	int r = mk_docker_call(docker, "DELETE", path, NULL, NULL, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	return r;
}
