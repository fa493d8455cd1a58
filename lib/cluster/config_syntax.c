/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/config_syntax.h"

#include "lib/cluster/quantity.h"
#include "lib/cluster/spec.h"
#include "lib/registry/reference.h"
#include "pki/sans.h"

#include <arpa/inet.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define SMALL "abcdefghijklmnopqrstuvwxyz"

#define MAX_VALIDITY_S ((int64_t)876000 * 3600)

static bool is_of(const char *s, const char *set)
{
	return strspn(s, set) == strlen(s);
}

/* "kindest/node" of any registry. */
static bool is_kinds(const char *image)
{
	mk_autofree char *name = mk_xstrndup(image, strcspn(image, "@"));
	char *slash = strrchr(name, '/');

	if (!slash)
		return false;
	slash[strcspn(slash, ":")] = '\0';
	return mk_streq(name, "kindest/node") || mk_has_suffix(name, "/kindest/node");
}

int mk_check_image(const char *value, struct mk_error *err)
{
	if (!*value || strcspn(value, " \t\n\"?#%&") != strlen(value))
		return mk_fail(err, MK_EUSAGE, "'%.64s' is not an image name", value);
	if (is_kinds(value))
		return mk_fail(err, MK_EUSAGE,
			"kind's node images hold kubeadm and what it expects, and cannot run here: "
			"leave the image out, or name one made by `mkcluster build node-image`");
	return 0;
}

int mk_check_address(const char *value, struct mk_error *err)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, value, &in) == 1)
		return 0;
	return mk_fail(err, MK_EUSAGE, "'%.64s' is not an IPv4 address%s", value,
		inet_pton(AF_INET6, value, &in6) == 1 ? ": IPv6 is not there yet" : "");
}

int mk_check_cidr(const char *value, struct mk_error *err)
{
	struct mk_cidr ignored;

	if (strchr(value, ':'))
		return mk_fail(err, MK_EUSAGE, "'%.64s': IPv6 is not there yet", value);
	return mk_cidr_parse(value, &ignored, err);
}

int mk_check_san(const char *value, struct mk_error *err)
{
	mk_autosans sans = { .dns = { .items = NULL } };

	return mk_sans_add(&sans, value, err) < 0 ? mk_error_recode(err, MK_EUSAGE) : 0;
}

/* As systemd.time(7) has it, in whole units: of minutes at least one, of days at most 30. */
int mk_check_interval(const char *value, struct mk_error *err)
{
	static const struct {
		char unit;
		uint64_t max;
	} units[] = { { 'm', 43200 }, { 'h', 720 }, { 'd', 30 } };
	size_t len = strlen(value);
	mk_autofree char *digits = mk_xstrndup(value, len > 0 ? len - 1 : 0);
	uint64_t n;

	for (size_t i = 0; i < MK_ARRAY_LEN(units); i++) {
		if (len > 1 && value[len - 1] == units[i].unit &&
			mk_parse_uint(digits, 1, units[i].max, &n))
			return 0;
	}
	return mk_fail(err, MK_EUSAGE,
		"must be a time from 1m to 30d like 30m, 6h or 1d, not '%.64s'", value);
}

int mk_check_domain(const char *value, struct mk_error *err)
{
	if (*value && strlen(value) <= 253 && is_of(value, LETTERS DIGITS "-_.") &&
		!strstr(value, "..") && *value != '-' && (*value != '.' || !value[1]))
		return 0;
	return mk_fail(err, MK_EUSAGE, "'%.64s' is not a domain to look names up in", value);
}

int mk_check_ip_family(const char *value, struct mk_error *err)
{
	if (mk_streq(value, "ipv6") || mk_streq(value, "dual"))
		return mk_fail(err, MK_EUSAGE, "'%s': IPv6 is not there yet, only ipv4 is", value);
	return 0;
}

int mk_check_proxy_mode(const char *value, struct mk_error *err)
{
	if (mk_streq(value, "ipvs"))
		return mk_fail(err, MK_EUSAGE,
			"'ipvs' is deprecated by Kubernetes since 1.35, and needs kernel modules "
			"of the host: nftables is what replaces it");
	return 0;
}

int mk_check_cpus(const char *value, struct mk_error *err)
{
	int64_t nano;
	int r = mk_quantity_cpus(value, &nano, err);

	if (r == 0 && nano < 100000000)
		return mk_fail(err, MK_EUSAGE,
			"a node does not start with %.40s CPUs: at least 0.1", value);
	return r;
}

int mk_check_memory(const char *value, struct mk_error *err)
{
	int64_t bytes;
	int r = mk_quantity_bytes(value, &bytes, err);

	if (r == 0 && bytes < (int64_t)256 << 20)
		return mk_fail(
			err, MK_EUSAGE, "a node does not start with %.40s: at least 256Mi", value);
	if (r == 0 && bytes > (int64_t)1 << 50)
		return mk_fail(err, MK_EUSAGE, "no host has %.40s of memory", value);
	return r;
}

int mk_check_validity(const char *value, struct mk_error *err)
{
	int64_t seconds;
	int r = mk_quantity_seconds(value, &seconds, err);

	if (r == 0 && seconds < 60)
		return mk_fail(err, MK_EUSAGE,
			"a cluster does not come up within %.40s: at least 1m", value);
	if (r == 0 && seconds > MAX_VALIDITY_S)
		return mk_fail(err, MK_EUSAGE, "%.40s is more than 100 years, 876000h", value);
	return r;
}

/* Up to 63 letters, digits and -_. between, a letter or digit at both ends. */
static bool is_label_word(const char *s, size_t len)
{
	mk_autofree char *word = mk_xstrndup(s, len);

	return len > 0 && len <= 63 && is_of(word, LETTERS DIGITS "-_.") &&
		strchr(LETTERS DIGITS, word[0]) && strchr(LETTERS DIGITS, word[len - 1]);
}

/* A DNS subdomain (RFC 1123), as Kubernetes takes it: small letters. */
static bool is_subdomain(const char *s, size_t len)
{
	mk_autofree char *name = mk_xstrndup(s, len);

	if (len == 0 || len > 253 || !is_of(name, SMALL DIGITS "-."))
		return false;
	for (const char *part = name; part; part = strchr(part, '.')) {
		size_t n;

		part += *part == '.';
		n = strcspn(part, ".");
		if (n == 0 || n > 63 || part[0] == '-' || part[n - 1] == '-')
			return false;
	}
	return true;
}

int mk_check_qualified_name(const char *value, struct mk_error *err)
{
	const char *slash = strchr(value, '/');
	const char *name = slash ? slash + 1 : value;

	if (slash && !is_subdomain(value, (size_t)(slash - value)))
		return mk_fail(err, MK_EUSAGE,
			"what stands before the / must be a domain in small letters, like example.com");
	if (!is_label_word(name, strlen(name)))
		return mk_fail(err, MK_EUSAGE,
			"must be 1 to 63 letters, digits, -, _ and ., a letter or digit at both ends, "
			"perhaps with a domain and a / before it");
	return 0;
}

int mk_check_label_value(const char *value, struct mk_error *err)
{
	if (!*value || is_label_word(value, strlen(value)))
		return 0;
	return mk_fail(err, MK_EUSAGE,
		"must be empty or up to 63 letters, digits, -, _ and ., a letter or digit at both "
		"ends");
}

/* Labels of Kubernetes' own that a kubelet may set. */
static const char *const kubelet_labels[] = { "kubernetes.io/hostname", "kubernetes.io/os",
	"kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
	"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
	"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
	"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region" };

static bool is_below(const char *domain, const char *parent)
{
	mk_autofree char *suffix = mk_xasprintf(".%s", parent);

	return mk_streq(domain, parent) || mk_has_suffix(domain, suffix);
}

int mk_check_node_label(const char *value, struct mk_error *err)
{
	mk_autofree char *domain = mk_xstrndup(value, strchr(value, '/') ? strcspn(value, "/") : 0);
	int r = mk_check_qualified_name(value, err);

	if (r < 0)
		return r;
	if (mk_streq(value, "mkcluster.dev/role"))
		return mk_fail(err, MK_EUSAGE, "mkcluster sets this label itself");
	if (!is_below(domain, "kubernetes.io") && !is_below(domain, "k8s.io"))
		return 0;
	for (size_t i = 0; i < MK_ARRAY_LEN(kubelet_labels); i++) {
		if (mk_streq(value, kubelet_labels[i]))
			return 0;
	}
	if (is_below(domain, "kubelet.kubernetes.io") || is_below(domain, "node.kubernetes.io"))
		return 0;
	return mk_fail(err, MK_EUSAGE,
		"below kubernetes.io and k8s.io a node may only label itself with os, arch, "
		"hostname, zone, region, instance-type, and within node.kubernetes.io and "
		"kubelet.kubernetes.io");
}

int mk_check_registry(const char *value, struct mk_error *err)
{
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	uint64_t port;

	if (mk_streq(value, "*"))
		return 0;
	if (strstr(value, "://"))
		return mk_fail(err, MK_EUSAGE,
			"must be a host without https:// before it, as image names begin with it");
	if (!is_subdomain(value, len) || (colon && !mk_parse_uint(colon + 1, 1, 65535, &port)))
		return mk_fail(err, MK_EUSAGE,
			"'%.64s' is not the host of a registry, like ghcr.io or localhost:5000; * is "
			"all others",
			value);
	return 0;
}

int mk_check_mirror(const char *value, struct mk_error *err)
{
	const char *rest = mk_after_prefix(value, "https://");
	const char *colon;
	size_t authority, host;
	uint64_t port;

	if (!rest)
		rest = mk_after_prefix(value, "http://");
	authority = rest ? strcspn(rest, "/") : 0;
	colon = rest ? memchr(rest, ':', authority) : NULL;
	host = colon ? (size_t)(colon - rest) : authority;
	if (colon) {
		mk_autofree char *number = mk_xstrndup(colon + 1, authority - host - 1);

		if (!mk_parse_uint(number, 1, 65535, &port))
			host = 0;
	}
	if (!rest || !is_subdomain(rest, host) || !is_of(rest, LETTERS DIGITS "-._~/:") ||
		strlen(value) > 1024)
		return mk_fail(err, MK_EUSAGE,
			"'%.64s' is not the URL of a mirror, like https://mirror.example/docker",
			value);
	return 0;
}

/* The number after `version =` before the first table, or -1. */
static long long toml_version(const char *text)
{
	mk_autostrlist lines = { .items = NULL };
	uint64_t version;

	mk_strlist_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *s = lines.items[i] + strspn(lines.items[i], " \t");
		const char *rest = mk_after_prefix(s, "version");

		if (*s == '[')
			break;
		rest = rest ? rest + strspn(rest, " \t") : "";
		if (*rest == '=') {
			mk_autofree char *digits = NULL;

			rest += 1 + strspn(rest + 1, " \t");
			digits = mk_xstrndup(rest, strspn(rest, DIGITS));
			return mk_parse_uint(digits, 0, 1000, &version) ? (long long)version : 0;
		}
	}
	return -1;
}

int mk_check_containerd_patch(const char *value, struct mk_error *err)
{
	long long version = toml_version(value);

	if (strspn(value, " \t\r\n") == strlen(value))
		return mk_fail(err, MK_EUSAGE, "is empty");
	if (version >= 0 && version != 2 && version != 3)
		return mk_fail(err, MK_EUSAGE,
			"must be of containerd's configuration version 2 or 3, or name none");
	if (strstr(value, "registry.mirrors") || strstr(value, "registry.configs"))
		return mk_fail(err, MK_EUSAGE,
			"registry.mirrors and registry.configs cannot stand beside registry.config_path, "
			"which mkcluster sets: `registries` of a mkcluster.dev/v1 file is for that");
	return 0;
}

static const char *const roles[] = { "coredns", "gateway", "provider", "queue-worker", "nats",
	"prometheus", "alertmanager", "local-path-provisioner", "local-path-helper",
	"metrics-server" };

int mk_check_image_role(const char *value, struct mk_error *err)
{
	const char *near = mk_did_you_mean(value, roles, MK_ARRAY_LEN(roles));
	mk_autostrlist list = { .items = NULL };
	mk_autofree char *known = NULL;

	for (size_t i = 0; i < MK_ARRAY_LEN(roles); i++) {
		if (mk_streq(value, roles[i]))
			return 0;
		mk_strlist_add(&list, roles[i]);
	}
	if (near)
		return mk_fail(err, MK_EUSAGE, "no image has the role '%.64s'; did you mean '%s'?",
			value, near);
	known = mk_strlist_join(&list, ", ");
	return mk_fail(
		err, MK_EUSAGE, "no image has the role '%.64s'; the roles are %s", value, known);
}

int mk_check_pod_image(const char *value, struct mk_error *err)
{
	mk_autoreference reference = { .host = NULL };

	return mk_reference_parse(value, &reference, err) < 0 ? mk_error_recode(err, MK_EUSAGE) : 0;
}

int mk_check_gate(const char *value, struct mk_error *err)
{
	if (*value && strchr(LETTERS, *value) && is_of(value, LETTERS DIGITS))
		return 0;
	return mk_fail(err, MK_EUSAGE, "must be a feature's name, of letters and digits");
}

int mk_check_api(const char *value, struct mk_error *err)
{
	if (*value && is_of(value, SMALL DIGITS "-./"))
		return 0;
	return mk_fail(err, MK_EUSAGE, "must be an API like batch/v2alpha1 or api/beta");
}

int mk_check_switch(const char *value, struct mk_error *err)
{
	if (mk_streq(value, "true") || mk_streq(value, "false"))
		return 0;
	return mk_fail(err, MK_EUSAGE, "must be true or false, not '%.64s'", value);
}
