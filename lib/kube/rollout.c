/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/rollout.h"

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/kube/watch.h"

#include <time.h>

#define ROOT_CAS "/api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt"

/* What `kubectl rollout restart` writes, so that its history reads the same. */
#define RESTARTED_AT "kubectl.kubernetes.io/restartedAt"

static const char *const kinds[] = { "deployments", "daemonsets", "statefulsets" };

/* Namespaces whose ConfigMap is still another one. */
struct waiting {
	const char *ca_pem;
	json_t *pending;
};

static void judge_map(struct waiting *waiting, const json_t *map, bool gone)
{
	const char *space = mk_json_str(map, "metadata.namespace", "");
	const char *ca = json_string_value(json_object_get(json_object_get(map, "data"), "ca.crt"));

	if (gone || (ca && mk_streq(ca, waiting->ca_pem)))
		(void)json_object_del(waiting->pending, space);
	else
		(void)json_object_set_new(waiting->pending, space, json_true());
}

static int judge_event(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct waiting *waiting = payload;

	(void)err;
	judge_map(waiting, object, mk_streq(type, "DELETED"));
	return json_object_size(waiting->pending) == 0 ? 1 : 0;
}

int mk_kube_wait_root_ca(
	struct mk_kube *kube, const char *ca_pem, int64_t deadline, struct mk_error *err)
{
	mk_autojson *pending = json_object();
	struct waiting waiting = { .ca_pem = ca_pem, .pending = pending };
	mk_autojson *list = NULL;
	const json_t *map;
	size_t i;
	int r = mk_kube_call(kube, "GET", ROOT_CAS, NULL, &list, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(list, "items"), i, map)
		judge_map(&waiting, map, /* gone= */ false);
	if (json_object_size(pending) == 0)
		return 0;
	r = mk_kube_watch(kube, ROOT_CAS, deadline, judge_event, &waiting, err);
	if (r == -MK_ETIMEOUT)
		(void)mk_error_wrap(err, "the CAs that pods trust in namespace '%s'",
			json_object_iter_key(json_object_iter(pending)));
	return r;
}

static bool has_token(const json_t *workload)
{
	return !json_is_false(
		mk_json_at(workload, "spec.template.spec.automountServiceAccountToken"));
}

static int restart(
	struct mk_kube *kube, const char *kind, const json_t *workload, struct mk_error *err)
{
	mk_autofree char *now = mk_format_time((int64_t)time(NULL));
	mk_autofree char *path = mk_xasprintf("/apis/apps/v1/namespaces/%s/%s/%s",
		mk_json_str(workload, "metadata.namespace", ""), kind,
		mk_json_str(workload, "metadata.name", ""));
	mk_autojson *patch = mk_json_pack("{s:{s:{s:{s:{s:s}}}}}", "spec", "template", "metadata",
		"annotations", RESTARTED_AT, now);
	int r = mk_kube_call(kube, "PATCH", path, patch, NULL, err);

	/* It has been deleted since it was listed. */
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	return r;
}

static int restart_kind(
	struct mk_kube *kube, const char *kind, struct mk_strlist *ret_names, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/apis/apps/v1/%s", kind);
	mk_autojson *list = NULL;
	const json_t *workload;
	size_t i;
	int r = mk_kube_call(kube, "GET", path, NULL, &list, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(list, "items"), i, workload) {
		if (!has_token(workload))
			continue;
		r = restart(kube, kind, workload, err);
		if (r < 0)
			return r;
		mk_strlist_addf(ret_names, "%s/%s", mk_json_str(workload, "metadata.namespace", ""),
			mk_json_str(workload, "metadata.name", ""));
	}
	return 0;
}

int mk_kube_restart_workloads(
	struct mk_kube *kube, int64_t deadline, size_t *ret_count, struct mk_error *err)
{
	mk_autostrlist deployments = { .items = NULL }, others = { .items = NULL };
	int r = 0;

	for (size_t i = 0; i < MK_ARRAY_LEN(kinds) && r == 0; i++)
		r = restart_kind(kube, kinds[i], i == 0 ? &deployments : &others, err);
	if (r == 0 && deployments.count > 0)
		r = mk_kube_wait_deployments(kube, &deployments, deadline, NULL, NULL, err);
	if (r == 0)
		*ret_count = deployments.count + others.count;
	return r;
}
