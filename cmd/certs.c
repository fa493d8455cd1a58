/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster certs list|check|renew */
#include "lib/cluster/certs.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/cluster/certs_renew.h"
#include "lib/cluster/spec.h"

#include <stdio.h>
#include <time.h>

#define DAY_S ((int64_t)86400)
#define MAX_DAYS 36500

struct options {
	const char *name;
	const char *kubeconfig;
	int output;
	int64_t days;
	bool ca, back;
	int64_t timeout_ms;
};

#define KUBECONFIG_OPTION(text)                                                                    \
	{                                                                                          \
		.name = "kubeconfig", .kind = MK_OPTION_STRING, .value = "FILE",                   \
		.offset = offsetof(struct options, kubeconfig), .help = (text)                     \
	}

#define LIST_OPTIONS                                                                               \
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),                          \
		KUBECONFIG_OPTION("looked at too ($KUBECONFIG, ~/.kube/config)"),                  \
		MK_OUTPUT_OPTION(struct options)

static const struct mk_option list_options[] = { LIST_OPTIONS };

static const struct mk_option check_options[] = {
	LIST_OPTIONS,
	{ .name = "days",
		.kind = MK_OPTION_NUMBER,
		.value = "N",
		.offset = offsetof(struct options, days),
		.help = "how long each must be valid still (30)" },
};

static const struct mk_option renew_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	KUBECONFIG_OPTION("kept up to date ($KUBECONFIG, ~/.kube/config)"),
	{ .name = "ca",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, ca),
		.help = "go on to the next stage of replacing the CAs" },
	{ .name = "back",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, back),
		.help = "with --ca: go a stage back" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (5m)" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){
		.name = MK_DEFAULT_NAME, .days = 30, .timeout_ms = 300000
	};
}

static int64_t left_s(const struct mk_found_cert *found)
{
	return (int64_t)mk_cert_not_after(found->cert) - (int64_t)time(NULL);
}

/* "364d", "23h", "4m", "expired": the larger unit is enough. Caller frees. */
static char *left_text(int64_t left)
{
	if (left <= 0)
		return mk_xstrdup("expired");
	if (left >= 2 * DAY_S)
		return mk_xasprintf("%lldd", (long long)(left / DAY_S));
	if (left >= 7200)
		return mk_xasprintf("%lldh", (long long)(left / 3600));
	return mk_xasprintf("%lldm", (long long)(left / 60));
}

static const char *usage_text(const struct mk_cert *cert)
{
	unsigned usages = mk_cert_usages(cert);

	if (usages & MK_CERT_CA)
		return "CA";
	if (usages == (MK_CERT_CLIENT | MK_CERT_SERVER))
		return "client, server";
	return usages & MK_CERT_SERVER ? "server" : "client";
}

static json_t *names_json(const struct mk_cert *cert)
{
	const struct mk_sans *sans = mk_cert_sans(cert);
	json_t *names = json_array();

	for (size_t i = 0; i < sans->dns.count; i++)
		(void)json_array_append_new(names, json_string(sans->dns.items[i]));
	for (size_t i = 0; i < sans->ips.count; i++)
		(void)json_array_append_new(names, json_string(sans->ips.items[i]));
	return names;
}

static json_t *cert_json(const struct mk_found_cert *found)
{
	const struct mk_cert *cert = found->cert;
	mk_autofree char *before = mk_format_time(mk_cert_not_before(cert));
	mk_autofree char *after = mk_format_time(mk_cert_not_after(cert));

	return mk_json_pack("{s:s*,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:I}", "node", found->node,
		"path", found->path, "name", found->name, "subject", mk_cert_subject(cert),
		"issuer", mk_cert_issuer(cert), "serial", mk_cert_serial(cert), "usage",
		usage_text(cert), "names", names_json(cert), "notBefore", before, "notAfter", after,
		"secondsLeft", (json_int_t)left_s(found));
}

static bool any(const struct mk_found_cert *found, int64_t seconds)
{
	(void)found;
	(void)seconds;
	return true;
}

static bool is_short(const struct mk_found_cert *found, int64_t seconds)
{
	return left_s(found) <= seconds;
}

typedef bool (*cert_filter)(const struct mk_found_cert *found, int64_t seconds);

static void print_json(const struct mk_found_certs *certs, cert_filter wanted, int64_t seconds)
{
	mk_autojson *list = json_array();

	for (size_t i = 0; i < certs->count; i++) {
		if (wanted(&certs->items[i], seconds))
			(void)json_array_append_new(list, cert_json(&certs->items[i]));
	}
	mk_print_json(list);
}

/* What is in no node is the user's, or the cluster's own. */
static const char *place_of(const struct mk_found_cert *found)
{
	if (found->node)
		return found->node;
	return found->path[0] == '/' ? "(here)" : "(in the API)";
}

static void print_table(const struct mk_found_certs *certs, cert_filter wanted, int64_t seconds)
{
	(void)printf("%-24s %-24s %-44s %-15s %-16s %-21s %s\n", "NODE", "CERTIFICATE", "SUBJECT",
		"USAGE", "ISSUER", "EXPIRES", "LEFT");
	for (size_t i = 0; i < certs->count; i++) {
		const struct mk_found_cert *found = &certs->items[i];
		mk_autofree char *expires = mk_format_time(mk_cert_not_after(found->cert));
		mk_autofree char *left = left_text(left_s(found));
		const char *issuer = mk_after_prefix(mk_cert_issuer(found->cert), "CN=");

		if (!wanted(found, seconds))
			continue;
		(void)printf("%-24s %-24s %-44s %-15s %-16s %-21s %s\n", place_of(found),
			*found->name ? found->name : found->path, mk_cert_subject(found->cert),
			usage_text(found->cert), issuer ? issuer : mk_cert_issuer(found->cert),
			expires, left);
	}
}

static int find(const struct options *o, struct mk_found_certs *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	return r == 0 ? mk_certs_find(docker, o->name, o->kubeconfig, ret, err) : r;
}

static void say_rest(const struct mk_context *context, const struct mk_found_certs *certs)
{
	if (context->quiet)
		return;
	if (certs->unread)
		(void)fprintf(stderr, "not looked at: secret/kube-system/metrics-server, for %s\n",
			certs->unread);
	if (certs->stage == MK_PKI_TRUSTED)
		(void)fprintf(stderr,
			"new CAs are trusted and do not sign yet: `mkcluster certs renew --ca` "
			"lets them\n");
	if (certs->stage == MK_PKI_ISSUED)
		(void)fprintf(stderr,
			"the previous CAs are still trusted: `mkcluster certs renew --ca` ends "
			"that\n");
}

static int list(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	mk_autofoundcerts certs = { .items = NULL };
	int r = find(o, &certs, err);

	(void)arguments;
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON)
		print_json(&certs, any, 0);
	else
		print_table(&certs, any, 0);
	say_rest(context, &certs);
	return 0;
}

static int fail_short(const struct options *o, const struct mk_found_certs *certs, size_t count,
	struct mk_error *err)
{
	const struct mk_found_cert *first = mk_certs_first_to_expire(certs);
	mk_autofree char *left = left_text(left_s(first));

	(void)mk_fail(err, MK_EFAIL,
		"%zu of %zu certificates expire within %lld days; the first, '%s' on %s: %s", count,
		certs->count, (long long)o->days, *first->name ? first->name : first->path,
		place_of(first), left);
	mk_error_hint(err, "`mkcluster certs renew%s --name %s`",
		mk_cert_is_ca(first->cert) ? " --ca" : "", o->name);
	return -MK_EFAIL;
}

static int check(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	mk_autofoundcerts certs = { .items = NULL };
	mk_autofree char *left = NULL;
	const struct mk_found_cert *first;
	size_t count = 0;
	int r = 0;

	(void)arguments;
	if (o->days > MAX_DAYS)
		return mk_fail(err, MK_EUSAGE, "--days is at most %d", MAX_DAYS);
	r = find(o, &certs, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < certs.count; i++)
		count += is_short(&certs.items[i], o->days * DAY_S);
	if (o->output == MK_OUTPUT_JSON)
		print_json(&certs, is_short, o->days * DAY_S);
	else if (count > 0)
		print_table(&certs, is_short, o->days * DAY_S);
	say_rest(context, &certs);
	if (count > 0)
		return fail_short(o, &certs, count, err);
	first = mk_certs_first_to_expire(&certs);
	left = left_text(first ? left_s(first) : 0);
	if (!context->quiet && first)
		(void)fprintf(stderr, "%zu certificates; the first to expire, '%s' on %s, has %s\n",
			certs.count, *first->name ? first->name : first->path, place_of(first),
			left);
	return 0;
}

/* Where the cluster is now, what comes next, and the way back. */
static void say_stage(struct mk_progress *progress, const struct mk_renew_result *result, bool ca)
{
	static const char *const words[] = {
		[MK_PKI_SETTLED] = "One set of CAs is trusted, and signs.",
		[MK_PKI_TRUSTED] = "New CAs are trusted by every node, beside those that sign.\n"
				   "Next, `certs renew --ca` restarts the pods and lets the new "
				   "CAs sign; with --back, all is as it was.",
		[MK_PKI_ISSUED] =
			"The new CAs have signed everything; the previous ones are still "
			"trusted.\n"
			"Hand out new kubeconfigs; then `certs renew --ca` ends the trust. "
			"With --back, the previous CAs sign again.",
	};

	if (result->finished)
		mk_progress_say(progress,
			"\nAn earlier run had not come to its end: this one has finished it, and "
			"gone no further.");
	if (ca || result->stage != MK_PKI_SETTLED)
		mk_progress_say(progress, "\n%s", words[result->stage]);
}

static int renew(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	struct mk_renew_options options = {
		.kubeconfig = o->kubeconfig,
		.turn = o->back ? MK_PKI_BACK
			: o->ca ? MK_PKI_ONWARD
				: MK_PKI_STAY,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	struct mk_renew_result result = { .stage = MK_PKI_SETTLED };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int r = mk_cluster_name_check(o->name, err);

	(void)arguments;
	if (r == 0 && o->back && !o->ca)
		r = mk_fail(err, MK_EUSAGE, "--back is a way of --ca");
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_certs_renew(docker, o->name, &options, &result, err);
	mk_progress_close(&progress);
	if (r == 0)
		say_stage(&progress, &result, o->ca);
	return r;
}

#define COMMAND(words, text, more, example, table, function)                                       \
	{                                                                                          \
		.path = (words), .summary = (text), .about = (more), .examples = (example),        \
		.options = (table), .option_count = MK_ARRAY_LEN(table),                           \
		.options_size = sizeof(struct options), .init = init, .run = (function)            \
	}

const struct mk_command mk_command_certs_list = COMMAND("certs list",
	"list every certificate of a cluster",
	"In every file and kubeconfig of its nodes, which need not run, in your kubeconfig and\n"
	"in the cluster's own Secret.\n",
	"  mkcluster certs list\n"
	"  mkcluster certs list --name dev --output json\n",
	list_options, list);

const struct mk_command mk_command_certs_check = COMMAND("certs check",
	"say which certificates expire soon",
	"Status 1 when one has fewer days left than --days, and those are listed.\n",
	"  mkcluster certs check --days 60\n", check_options, check);

const struct mk_command mk_command_certs_renew = COMMAND("certs renew",
	"make certificates anew, in place",
	"Every certificate, also the one in your kubeconfig, expired or not; pods go on running,\n"
	"and with several control planes the API answers all along.\n"
	"With --ca the CAs are replaced, a stage a call: new ones are trusted beside the old;\n"
	"they sign everything, and pods are restarted to know them; the old ones are dropped.\n"
	"--back leads a stage back.\n",
	"  mkcluster certs renew\n"
	"  mkcluster certs renew --ca\n"
	"  mkcluster certs renew --ca --back\n",
	renew_options, renew);
