/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects written as they are, so that the API server stores them anew: it does so for
 * what it did not read with the key that it writes with, and writes nothing else
 * (kubernetes.io/docs/tasks/administer-cluster/encrypt-data#ensure-all-secrets-are-encrypted).
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/encryption_private.h"

/* Objects of one list and of one round of writes; an object has at most three megabytes. */
#define PAGE 20
#define MAX_PAGE (64 * MK_MIB)

/* An API server that has too much to do, or whose etcd elects a leader, is asked again. */
#define TRIES 6
#define RETRY_MS 500

/* A collection: "/api/v1" and "secrets". */
struct collection {
	char *base, *plural;
};

struct collections {
	struct collection *items;
	size_t count;
};

static void collections_done(struct collections *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].base);
		free(list->items[i].plural);
	}
	free(list->items);
}

static void add_collection(struct collections *list, const char *base, const char *plural)
{
	for (size_t i = 0; i < list->count; i++) {
		if (mk_streq(list->items[i].base, base) && mk_streq(list->items[i].plural, plural))
			return;
	}
	list->items = mk_xrealloc(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = (struct collection){ mk_xstrdup(base), mk_xstrdup(plural) };
}

static bool has_verb(const json_t *resource, const char *wanted)
{
	const json_t *verb;
	size_t i;

	json_array_foreach (json_object_get(resource, "verbs"), i, verb) {
		if (json_is_string(verb) && mk_streq(json_string_value(verb), wanted))
			return true;
	}
	return false;
}

/* Those of one version's resources that are meant; `name` "*" means all that can be
 * written. What is not there, a definition that was removed, has no objects. */
static int add_version(struct mk_kube *kube, const char *base, const char *name,
	struct collections *ret, struct mk_error *err)
{
	mk_autojson *list = NULL;
	const json_t *resource;
	size_t i;
	int r = mk_kube_call(kube, "GET", base, NULL, &list, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	json_array_foreach (json_object_get(list, "resources"), i, resource) {
		const char *plural = mk_json_str(resource, "name", "");

		if (!strchr(plural, '/') && (mk_streq(name, "*") || mk_streq(name, plural)) &&
			has_verb(resource, "list") && has_verb(resource, "update"))
			add_collection(ret, base, plural);
	}
	return 0;
}

static int add_group(struct mk_kube *kube, const char *group, const char *name,
	struct collections *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/apis/%s", group);
	mk_autofree char *base = NULL;
	mk_autojson *found = NULL;
	int r = mk_kube_call(kube, "GET", path, NULL, &found, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	base = mk_xasprintf("/apis/%s", mk_json_str(found, "preferredVersion.groupVersion", ""));
	return add_version(kube, base, name, ret, err);
}

static int add_everything(struct mk_kube *kube, struct collections *ret, struct mk_error *err)
{
	mk_autojson *groups = NULL;
	const json_t *group;
	size_t i;
	int r = add_version(kube, "/api/v1", "*", ret, err);

	if (r == 0)
		r = mk_kube_call(kube, "GET", "/apis", NULL, &groups, err);
	json_array_foreach (json_object_get(groups, "groups"), i, group) {
		if (r == 0)
			r = add_group(kube, mk_json_str(group, "name", ""), "*", ret, err);
	}
	return r;
}

/* "secrets", "deployments.apps", "*." of the core, "*.apps", "*.*". */
static int add_resource(
	struct mk_kube *kube, const char *resource, struct collections *ret, struct mk_error *err)
{
	size_t len = strcspn(resource, ".");
	mk_autofree char *name = mk_xstrndup(resource, len);
	const char *group = resource[len] ? resource + len + 1 : "";

	if (mk_streq(group, "*"))
		return add_everything(kube, ret, err);
	if (*group)
		return add_group(kube, group, name, ret, err);
	return add_version(kube, "/api/v1", name, ret, err);
}

/* Writes of one page, each with its answer. */
struct writes {
	char *paths[PAGE], *bodies[PAGE];
	struct mk_http_request requests[PAGE];
	struct mk_http_response responses[PAGE];
	size_t count;
};

static void writes_done(struct writes *writes)
{
	for (size_t i = 0; i < writes->count; i++) {
		free(writes->paths[i]);
		mk_secret_free(writes->bodies[i]);
		mk_http_response_done(&writes->responses[i]);
	}
}

static char *object_path(const struct collection *of, const json_t *object)
{
	const char *namespace = mk_json_str(object, "metadata.namespace", NULL);
	mk_autofree char *name = mk_http_escape(mk_json_str(object, "metadata.name", ""));

	if (namespace)
		return mk_xasprintf(
			"%s/namespaces/%s/%s/%s", of->base, namespace, of->plural, name);
	return mk_xasprintf("%s/%s/%s", of->base, of->plural, name);
}

/* The items of a list leave out what the list says of them all: "SecretList". */
static void add_kind(json_t *object, const json_t *list)
{
	mk_autofree char *kind = mk_xstrdup(mk_json_str(list, "kind", ""));

	if (mk_has_suffix(kind, "List"))
		kind[strlen(kind) - strlen("List")] = '\0';
	if (!json_object_get(object, "kind"))
		(void)json_object_set_new(object, "kind", json_string(kind));
	if (!json_object_get(object, "apiVersion"))
		(void)json_object_set_new(
			object, "apiVersion", json_string(mk_json_str(list, "apiVersion", "")));
}

static void add_write(struct writes *writes, char *path, json_t *object)
{
	size_t i = writes->count++;

	writes->paths[i] = path;
	writes->bodies[i] = mk_json_print(object);
	writes->requests[i] = (struct mk_http_request){
		.method = "PUT",
		.path = writes->paths[i],
		.content_type = "application/json",
		.body = writes->bodies[i],
		.body_len = strlen(writes->bodies[i]),
		.timeout_ms = MK_KUBE_TIMEOUT_MS,
		.max_body = MAX_PAGE,
	};
}

/* Who has written or removed it meanwhile has done what we came for: with the new key. */
static bool is_done(long status)
{
	return status < 400 || status == 404 || status == 409;
}

static bool is_passing(long status)
{
	return status == 429 || status >= 500;
}

/* Leave those that have to be sent again. */
static int drop_done(struct writes *writes, bool last, struct mk_error *err)
{
	size_t left = 0;

	for (size_t i = 0; i < writes->count; i++) {
		long status = writes->responses[i].status;

		if (!is_done(status) && (last || !is_passing(status)))
			return mk_kube_refused("PUT", writes->paths[i], &writes->responses[i], err);
	}
	for (size_t i = 0; i < writes->count; i++) {
		bool again = !is_done(writes->responses[i].status);

		mk_http_response_done(&writes->responses[i]);
		if (again) {
			writes->paths[left] = writes->paths[i];
			writes->bodies[left] = writes->bodies[i];
			writes->requests[left++] = writes->requests[i];
		} else {
			free(writes->paths[i]);
			mk_secret_free(writes->bodies[i]);
		}
	}
	writes->count = left;
	return 0;
}

static int send_all(struct mk_kube *kube, struct writes *writes, struct mk_error *err)
{
	int r = 0;

	for (int i = 1; writes->count > 0 && r == 0; i++) {
		r = mk_http_do_all(mk_kube_http(kube), writes->requests, writes->count,
			writes->responses, err);
		if (r == 0)
			r = drop_done(writes, /* last= */ i == TRIES, err);
		if (r == 0 && writes->count > 0)
			r = mk_sleep_ms(RETRY_MS, err);
	}
	return r;
}

static int write_page(
	struct mk_kube *kube, const struct collection *of, const json_t *list, struct mk_error *err)
{
	MK_CLEANUP(writes_done) struct writes writes = { .count = 0 };
	json_t *object;
	size_t i;

	json_array_foreach (json_object_get(list, "items"), i, object) {
		/* A server may give more than it was asked for. */
		if (writes.count == PAGE) {
			int r = send_all(kube, &writes, err);

			if (r < 0)
				return r;
		}
		add_kind(object, list);
		add_write(&writes, object_path(of, object), object);
	}
	return send_all(kube, &writes, err);
}

/* `*next` is the token of the page; then that of the one after it, or NULL. */
static int read_page(struct mk_kube *kube, const struct collection *of, char **next, json_t **ret,
	struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	mk_autofree char *token = *next ? mk_http_escape(*next) : mk_xstrdup("");
	mk_autofree char *path = mk_xasprintf(
		"%s/%s?limit=%d%s%s", of->base, of->plural, PAGE, *next ? "&continue=" : "", token);
	struct mk_http_request request = {
		.path = path, .timeout_ms = MK_KUBE_TIMEOUT_MS, .max_body = MAX_PAGE
	};
	const char *more;
	int r = mk_http_do(mk_kube_http(kube), &request, &response, err);

	if (r < 0)
		return r;
	if (response.status >= 400)
		return mk_kube_refused("GET", path, &response, err);
	r = mk_json_parse(response.body.data, response.body.len, path, ret, err);
	if (r < 0)
		return r;
	more = mk_json_str(*ret, "metadata.continue", "");
	free(*next);
	*next = *more ? mk_xstrdup(more) : NULL;
	return 0;
}

/* A token that has become too old (410) begins anew: what is rewritten is not again. */
static int rewrite(struct mk_kube *kube, const struct collection *of, int64_t deadline,
	size_t *count, struct mk_error *err)
{
	mk_autofree char *next = NULL;
	size_t seen = 0;

	do {
		json_t *list = NULL;
		int r = read_page(kube, of, &next, &list, err);

		if (r < 0 && err->status == 410 && next) {
			mk_error_done(err);
			free(MK_TAKE(next));
			seen = 0;
			r = read_page(kube, of, &next, &list, err);
		}
		if (r == 0)
			r = write_page(kube, of, list, err);
		seen += json_array_size(json_object_get(list, "items"));
		mk_json_wipe(list);
		json_decref(list);
		if (r < 0)
			return r;
		if (mk_remaining_ms(deadline) == 0)
			return mk_fail(err, MK_ETIMEOUT, "there are more %s than there is time",
				of->plural);
	} while (next);
	*count += seen;
	return 0;
}

int mk_encryption_rewrite(struct mk_kube *kube, const struct mk_strlist *resources,
	int64_t deadline, size_t *ret_count, struct mk_error *err)
{
	MK_CLEANUP(collections_done) struct collections list = { .items = NULL };
	int r = 0;

	*ret_count = 0;
	for (size_t i = 0; i < resources->count && r == 0; i++)
		r = add_resource(kube, resources->items[i], &list, err);
	for (size_t i = 0; i < list.count && r == 0; i++)
		r = rewrite(kube, &list.items[i], deadline, ret_count, err);
	/* Nothing here is a name that the user gave. */
	return r == -MK_ENOTFOUND || r == -MK_EEXISTS ? mk_error_recode(err, MK_EREMOTE) : r;
}
