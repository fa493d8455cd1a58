/* SPDX-License-Identifier: Apache-2.0 */
/* The user's objects before a scripted API server: applied, pruned, awaited, deleted. */
#include "lib/kube/apply.h"
#include "lib/kube/applyset.h"
#include "lib/kube/prune.h"
#include "lib/kube/remove.h"
#include "tests/unit/test-kube-world.h"

#define FILE_NAME "f.yaml"
#define MAPS "/api/v1/namespaces/default/configmaps/"
#define VERSION(v) "{\"metadata\":{\"uid\":\"u" v "\",\"resourceVersion\":\"" v "\"}}"
#define STATUS(words) "{\"kind\":\"Status\",\"message\":\"" words "\"}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

/* "LABEL VERB: WHY" of every object, in order. */
static void note(void *payload, const struct mk_outcome *o)
{
	mk_strlist_addf(
		payload, "%s %s%s%s", o->label, o->verb, o->why ? ": " : "", o->why ? o->why : "");
}

static void take(struct mk_manifests *m, const char *text)
{
	assert_int_equal(mk_manifests_take(m, FILE_NAME, text, strlen(text), &w.err), 0);
	if (mk_manifests_check(m, &w.err) < 0)
		fail_msg("%s", w.err.message);
}

static int apply(const char *text, struct mk_apply_options options, struct mk_strlist *said)
{
	mk_automanifests m = mk_manifests_init();

	take(&m, text);
	options.namespace = "default";
	options.report = note;
	options.payload = said;
	options.deadline = mk_deadline(300);
	return mk_kube_apply_manifests(w.kube, &m, &options, &w.err);
}

static void assert_said(const struct mk_strlist *said, const char *expected)
{
	mk_autofree char *text = mk_strlist_join(said, "\n");

	assert_string_equal(text, expected);
}

#define MAP(name) "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: " name "}}\n"
#define PLAIN ((struct mk_apply_options){ .force = false })

static void test_outcomes(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " MAPS "old", { { .body = VERSION("7") } }, 1 },
		{ "PATCH " MAPS "old", { { .body = VERSION("7") } }, 1 },
		{ "GET " MAPS "changed", { { .body = VERSION("7") } }, 1 },
		{ "PATCH " MAPS "changed", { { .body = VERSION("8") } }, 1 },
		{ "PATCH " MAPS "new", { { .status = 201, .body = VERSION("9") } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };
	const char *sent;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply(MAP("old") MAP("changed") MAP("new"), PLAIN, &said), 0);
	assert_said(&said,
		"configmap/old unchanged\nconfigmap/changed configured\n"
		"configmap/new created");
	sent = fake_peer_request(w.server, "PATCH " MAPS "new", 0);
	assert_words(sent, "?fieldManager=mkcluster&force=false HTTP/1.1");
	assert_words(sent, "\"namespace\":\"default\"");
	assert_words(fake_peer_request(w.server, "GET " MAPS "old", 0), "as=PartialObjectMetadata");
}

#define CONFLICT                                                                                   \
	"{\"kind\":\"Status\",\"code\":409,\"message\":\"Apply failed\",\"details\":{\"causes\":[" \
	"{\"reason\":\"FieldManagerConflict\",\"message\":\"conflict with \\\"kubectl\\\" using "  \
	"v1\",\"field\":\".data.a\"}]}}"

/* Neither is hidden by the other, and nothing that comes later is begun. */
static void test_refusals(void **state)
{
	static const struct peer_route routes[] = {
		{ "PATCH " MAPS "a", { { .status = 409, .body = CONFLICT } }, 1 },
		{ "PATCH " MAPS "b", { { .status = 422, .body = STATUS("not so") } }, 1 },
		{ "PATCH " MAPS "c", { { .status = 201, .body = VERSION("1") } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply("{apiVersion: v1, kind: Pod, metadata: {name: p}}\n" MAP("a")
					 MAP("b") MAP("c"),
				 PLAIN, &said),
		-MK_EREMOTE);
	assert_said(&said,
		"configmap/a failed: .data.a belongs to \"kubectl\" using v1\n"
		"configmap/b failed: 422: not so\nconfigmap/c created\n"
		"pod/p untried: what comes before it was refused");
	assert_words(w.err.message, "2 of 4 objects could not be applied, f.yaml:3:1: configmap/a");
	assert_words(w.err.detail, "f.yaml:5:1: configmap/b: 422: not so\n");
	assert_words(w.err.hint, "--force-conflicts");
	assert_int_equal(fake_peer_hits(w.server, "PATCH /api/v1/namespaces/default/pods"), 0);
}

static void test_secrets_stay(void **state)
{
	static const char *const words[] = { "bad value hunter2",
		"bad value aHVudGVyMg==", "stringData.n: 12345 is no string" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(words); i++) {
		mk_autofree char *body = mk_xasprintf(STATUS("%s"), words[i]);
		const struct peer_route route = { "PATCH /api/v1/namespaces/default/secrets/s",
			{ { .status = 422, .body = body } }, 1 };
		mk_autostrlist said = { .items = NULL };

		restart();
		serve(&route, 1);
		assert_int_equal(apply("{apiVersion: v1, kind: Secret, metadata: {name: s}, "
				       "data: {a: aHVudGVyMg==}, stringData: {n: 12345}}",
					 PLAIN, &said),
			-MK_EREMOTE);
		assert_words(w.err.message, "422: the server's words are left out");
		assert_null(strstr(w.err.message, "hunter2"));
		assert_null(strstr(w.err.message, "12345"));
		assert_null(strstr(said.items[0], "bad value"));
	}
}

#define CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define WIDGETS "/apis/example.com/v1/namespaces/default/widgets/"
#define CRD                                                                                        \
	"---\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "    \
	"{name: widgets.example.com}, spec: {group: example.com, scope: Namespaced, names: "       \
	"{plural: widgets, kind: Widget}, versions: [{name: v1}]}}\n"
#define LIVE_CRD(status)                                                                           \
	"{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","       \
	"\"status\":{\"conditions\":[{\"type\":\"Established\",\"status\":\"" status "\"}]}}"
#define WIDGET "---\n{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}\n"

/* The object stands first in the file, and its kind is served late. */
static void test_crd(void **state)
{
	static const struct peer_route routes[] = {
		{ "PATCH " CRDS "/widgets.example.com", { { .status = 201, .body = "{}" } }, 1 },
		{ "GET " CRDS
		  "?fieldSelector=metadata.name%3Dwidgets.example.com&watch=1&resourceVersion=0",
			{ { .body = EVENT("ADDED", LIVE_CRD("False"))
					EVENT("MODIFIED", LIVE_CRD("True")),
				.no_length = true,
				.linger_ms = 10000 } },
			1 },
		{ "PATCH " WIDGETS "w",
			{ { .status = 404, .body = "404 page not found\n" },
				{ .status = 201, .body = VERSION("1") } },
			2 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	if (apply(WIDGET CRD, PLAIN, &said) < 0)
		fail_msg("%s", w.err.message);
	assert_said(&said,
		"customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n"
		"widget.example.com/w created");
	assert_int_equal(fake_peer_hits(w.server, "PATCH " WIDGETS), 2);
	assert_int_equal(fake_peer_hits(w.server, "GET /apis/example.com/v1 "), 0);
}

#define IN_NEW                                                                                     \
	"---\n{apiVersion: v1, kind: Namespace, metadata: {name: new}}\n"                          \
	"---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: new}}\n"

static void test_dry_run(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " MAPS "a",
			{ { .body = "{\"metadata\":{\"resourceVersion\":\"1\",\"managedFields\":[1]},"
				    "\"data\":{}}" } },
			1 },
		{ "PATCH " MAPS "a",
			{ { .body = "{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{}}" } },
			1 },
		{ "PATCH /api/v1/namespaces/new", { { .status = 201, .body = "{}" } }, 1 },
		{ "PATCH " CRDS "/widgets.example.com", { { .status = 201, .body = "{}" } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply(MAP("a") IN_NEW CRD WIDGET,
				 (struct mk_apply_options){ .dry_run = true, .wait = true }, &said),
		0);
	assert_said(&said,
		"namespace/new created\n"
		"customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n"
		"configmap/x untried: its namespace does not exist yet\nconfigmap/a unchanged\n"
		"widget.example.com/w untried: its CRD does not exist yet");
	assert_int_equal(fake_peer_hits(w.server, "PATCH "), 3);
	for (size_t i = 0; i < 3; i++)
		assert_words(fake_peer_request(w.server, "PATCH ", i), "&dryRun=All HTTP/1.1");
}

static void test_unknown_kinds(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /apis/batch/v1",
			{ { .body = "{\"resources\":[{\"name\":\"tasks\",\"kind\":\"Task\"}]}" } },
			1 },
		{ "GET /apis",
			{ { .body = "{\"groups\":[{\"name\":\"apps\",\"versions\":[{\"groupVersion\":"
				    "\"apps/v1\"}]}]}" } },
			1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply("{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}}\n"
			       "---\n{apiVersion: aps/v1, kind: Deployment, metadata: {name: a}}\n"
			       "---\n{apiVersion: other.io/v1, kind: Thing, metadata: {name: a}}\n"
			       "---\n{apiVersion: batch/v1, kind: Tsk, metadata: {name: a}}\n" MAP(
				       "a") MAP("a"),
				 PLAIN, &said),
		-MK_EUSAGE);
	assert_words(w.err.message, "f.yaml:1:1: the server has apps/v1, but not apps/v1beta1");
	assert_words(
		w.err.detail, "f.yaml:3:1: the server has no API 'aps/v1'; did you mean 'apps'?");
	assert_words(w.err.detail, "f.yaml:5:1: the server has no API 'other.io/v1', and no CRD");
	assert_words(w.err.detail, "f.yaml:7:1: batch/v1 has no kind 'Tsk'; did you mean 'Task'?");
	assert_words(w.err.detail, "f.yaml:11:1: configmap/a is there twice, first at f.yaml:9:1");
	assert_int_equal(said.count, 0);
	assert_int_equal(fake_peer_hits(w.server, "PATCH "), 0);
}

/* As kubectl makes it of `--applyset web` in namespace default: printf
 * web.default.Secret. | sha256sum, in base64 for URLs. */
static void test_set_id(void **state)
{
	static const unsigned char hash[32] = { 0xcc, 0xde, 0x60, 0x30, 0xcb, 0x77, 0xb8, 0x72,
		0xce, 0xe6, 0x91, 0xc3, 0x08, 0x44, 0xd1, 0xfb, 0xdb, 0xa2, 0x1a, 0xa7, 0x0f, 0x44,
		0xd6, 0x34, 0x5f, 0x6e, 0x07, 0x93, 0x44, 0x73, 0x72, 0x0a };
	mk_autofree char *source = mk_applyset_id_source("web", "default");
	mk_autofree char *id = mk_applyset_id(hash);

	(void)state;
	assert_string_equal(source, "web.default.Secret.");
	assert_string_equal(id, "applyset-zN5gMMt3uHLO5pHDCETR-9uiGqcPRNY0X24Hk0Rzcgo-v1");
}

#define PARENT "/api/v1/namespaces/default/secrets/web"
#define SET ((struct mk_apply_options){ .set = "web", .set_id = "ID", .prune = true })
#define MEMBER(name, uid, more)                                                                    \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\",\"uid\":\"" uid            \
	"\",\"resourceVersion\":\"5\"" more ",\"managedFields\":[{\"manager\":\"mkcluster\","      \
	"\"operation\":\"Apply\"}]}}"
#define HELM ",\"annotations\":{\"meta.helm.sh/release-name\":\"r\"}"

static const char live_parent
	[] = "{\"metadata\":{\"labels\":{\"applyset.kubernetes.io/id\":\"ID\"},\"annotations\":{"
	     "\"applyset.kubernetes.io/tooling\":\"mkcluster/v0\","
	     "\"applyset.kubernetes.io/contains-group-kinds\":\"ConfigMap,Gone.example.com\"}}}";

static void test_prune(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " PARENT, { { .body = live_parent } }, 1 },
		{ "PATCH " PARENT, { { .body = "{}" } }, 1 },
		{ "PATCH " MAPS "a", { { .body = VERSION("1") } }, 1 },
		{ "GET /api/v1/"
		  "configmaps?labelSelector=applyset.kubernetes.io%2Fpart-of%3DID",
			{ { .body = "{\"items\":[" MEMBER("a", "u1", "") "," MEMBER(
				    "b", "u2", "") "," MEMBER("c", "u3", HELM) "]}" } },
			1 },
		{ "DELETE " MAPS "b", { { .body = "{}" } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	if (apply(MAP("a"), SET, &said) < 0)
		fail_msg("%s", w.err.message);
	assert_said(&said,
		"configmap/a configured\nconfigmap/c kept: a Helm release has it\n"
		"configmap/b pruned");
	assert_words(fake_peer_request(w.server, "PATCH " MAPS "a", 0),
		"\"labels\":{\"applyset.kubernetes.io/part-of\":\"ID\"}");
	assert_words(fake_peer_request(w.server, "DELETE " MAPS "b", 0),
		"\"preconditions\":{\"uid\":\"u2\",\"resourceVersion\":\"5\"}");
	assert_int_equal(fake_peer_hits(w.server, "DELETE "), 1);
	/* Before: all that it names; after: without the kind that is no more. */
	assert_words(fake_peer_request(w.server, "PATCH " PARENT, 0), "ConfigMap,Gone.example.com");
	assert_words(fake_peer_request(w.server, "PATCH " PARENT, 1),
		"contains-group-kinds\":\"ConfigMap\"");
}

static void test_no_prune_after_a_refusal(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " PARENT, { { .body = live_parent } }, 1 },
		{ "PATCH " PARENT, { { .body = "{}" } }, 1 },
		{ "PATCH " MAPS "a", { { .status = 422, .body = "{}" } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply(MAP("a"), SET, &said), -MK_EREMOTE);
	assert_int_equal(fake_peer_hits(w.server, "DELETE "), 0);
	assert_int_equal(fake_peer_hits(w.server, "GET /api/v1/configmaps"), 0);
}

static void test_others_sets(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " PARENT,
			{ { .body = "{\"metadata\":{\"annotations\":{"
				    "\"applyset.kubernetes.io/tooling\":\"kubectl/v1.36\"}}}" },
				{ .status = 404 } },
			2 },
		{ "PATCH " PARENT, { { .status = 201, .body = "{}" } }, 1 },
		{ "GET " MAPS "a",
			{ { .body = "{\"metadata\":{\"labels\":{"
				    "\"applyset.kubernetes.io/part-of\":\"OTHER\"}}}" } },
			1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply(MAP("a"), SET, &said), -MK_EEXISTS);
	assert_words(w.err.message, "is a set of kubectl/v1.36");
	assert_int_equal(fake_peer_hits(w.server, "PATCH "), 0);
	assert_int_equal(apply(MAP("a"), SET, &said), -MK_EREMOTE);
	assert_words(w.err.message, "configmap/a: it belongs to another set, OTHER");
	assert_int_equal(fake_peer_hits(w.server, "PATCH " MAPS), 0);
}

static void test_why_kept(void **state)
{
#define MANAGED(list) "{\"metadata\":{\"managedFields\":[" list "]}}"
#define BY(who, how) "{\"manager\":\"" who "\",\"operation\":\"" how "\"}"
#define PART(who) "{\"manager\":\"" who "\",\"operation\":\"Update\",\"subresource\":\"status\"}"
#define OURS BY("mkcluster", "Apply")
	static const struct {
		const char *object;
		bool strict;
		const char *why; /* NULL: it is ours */
	} cases[] = {
		{ MANAGED(OURS), true, NULL },
		{ MANAGED(OURS "," BY("kubectl-edit", "Update")), false, NULL },
		{ MANAGED(OURS "," BY("kubectl-edit", "Update")), true,
			"'kubectl-edit' has written to it" },
		{ MANAGED(OURS "," BY("kube-controller-manager", "Update")), true, NULL },
		{ MANAGED(OURS "," PART("operator")), true, NULL },
		{ MANAGED(OURS "," BY("kubectl", "Apply")), false, "'kubectl' applies it too" },
		{ MANAGED(BY("kubectl", "Update")), false, "mkcluster no longer has any of it" },
		{ MANAGED(BY("mkcluster", "Update")), false, "mkcluster no longer has any of it" },
		{ "{\"metadata\":{\"ownerReferences\":[{\"kind\":\"App\",\"name\":\"x\","
		  "\"controller\":true}],\"managedFields\":[" OURS "]}}",
			false, "App 'x' controls it" },
		{ "{\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/"
		  "last-applied-configuration\":\"\"},\"managedFields\":[" OURS "]}}",
			false, "kubectl applies it too" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autojson *object = json_loads(cases[i].object, 0, NULL);
		mk_autofree char *why = mk_prune_why_kept(object, cases[i].strict);

		assert_non_null(object);
		if (cases[i].why)
			assert_string_equal(why ? why : "(none)", cases[i].why);
		else
			assert_null(why);
	}
}

#define APPS "/apis/apps/v1/namespaces/default/deployments"
#define WEB                                                                                        \
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"namespace\":"         \
	"\"default\",\"generation\":1},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}},"   \
	"\"status\":{\"observedGeneration\":1,\"conditions\":[{\"type\":\"Available\","            \
	"\"status\":\"False\",\"reason\":\"MinimumReplicasUnavailable\",\"message\":\"none\"}]}}"
#define POD                                                                                        \
	"{\"metadata\":{\"name\":\"web-1\"},\"status\":{\"containerStatuses\":[{\"state\":{"       \
	"\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"no such image\"}}}]}}"

static void test_not_ready(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET " APPS "?fieldSelector=metadata.name%3Dweb&watch=1&resourceVersion=0",
			{ { .body = EVENT("ADDED", WEB), .no_length = true, .linger_ms = 10000 } },
			1 },
		{ "PATCH " APPS "/web", { { .status = 201, .body = WEB } }, 1 },
		{ "GET " APPS "/web", { { .status = 404 }, { .body = WEB } }, 2 },
		{ "GET /api/v1/namespaces/default/pods?labelSelector=a%3Db",
			{ { .body = "{\"items\":[" POD "]}" } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(apply("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
				 (struct mk_apply_options){ .wait = true }, &said),
		-MK_ETIMEOUT);
	assert_string_equal(w.err.message,
		"not ready in time: deployment.apps/web: 0 of 1 available; "
		"MinimumReplicasUnavailable: none; pod web-1: ImagePullBackOff: no such image");
}

static int remove_all(const char *text, bool wait, struct mk_strlist *said)
{
	mk_automanifests m = mk_manifests_init();
	struct mk_remove_options options = { .namespace = "default",
		.wait = wait,
		.deadline = mk_deadline(300),
		.report = note,
		.payload = said };

	take(&m, text);
	return mk_kube_remove_manifests(w.kube, &m, &options, &w.err);
}

static void test_remove(void **state)
{
	static const struct peer_route routes[] = {
		{ "DELETE " MAPS "a", { { .body = VERSION("1") } }, 1 },
		{ "DELETE " MAPS "b", { { .status = 404 } }, 1 },
		{ "DELETE /api/v1/namespaces/default/pods/p", { { .body = VERSION("2") } }, 1 },
		/* One of the same name came after it. */
		{ "GET " MAPS "a", { { .body = VERSION("9") } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(remove_all(MAP("a") MAP("b") WIDGET
				 "---\n{apiVersion: v1, kind: Pod, metadata: {name: p}}\n",
				 true, &said),
		0);
	assert_said(&said,
		"widget.example.com/w not found: nor its kind\npod/p deleted\n"
		"configmap/a deleted\nconfigmap/b not found");
	assert_words(fake_peer_request(w.server, "DELETE " MAPS "a", 0),
		"\"propagationPolicy\":\"Foreground\"");
}

static void test_stays(void **state)
{
	static const struct peer_route routes[] = {
		{ "DELETE " MAPS "a", { { .body = VERSION("1") } }, 1 },
		{ "GET " MAPS "a",
			{ { .body = "{\"metadata\":{\"uid\":\"u1\",\"finalizers\":[\"x.io/y\"]}}" } },
			1 },
		{ "GET /api/v1/namespaces/default/configmaps",
			{ { .body = "", .no_length = true, .linger_ms = 10000 } }, 1 },
	};
	mk_autostrlist said = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(remove_all(MAP("a"), true, &said), -MK_ETIMEOUT);
	assert_string_equal(w.err.message, "configmap/a is still there: finalizer x.io/y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_outcomes),
		TEST(test_refusals),
		TEST(test_secrets_stay),
		TEST(test_crd),
		TEST(test_dry_run),
		TEST(test_unknown_kinds),
		TEST(test_set_id),
		TEST(test_prune),
		TEST(test_no_prune_after_a_refusal),
		TEST(test_others_sets),
		TEST(test_why_kept),
		TEST(test_not_ready),
		TEST(test_remove),
		TEST(test_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
