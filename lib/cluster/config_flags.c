/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags of the components that a config file may not give, because mkcluster
 * gives them and nothing would come up with others.
 */
#include "lib/cluster/config_internal.h"

#define ON(component) (1U << MK_COMPONENT_##component)
#define KUBE_SERVERS (ON(API_SERVER) | ON(CONTROLLER_MANAGER) | ON(SCHEDULER))

#define OWN_KEYS "mkcluster makes the keys and certificates"
#define OWN_NETWORK "mkcluster gives out the addresses"
#define OWN_ETCD "mkcluster makes the members of etcd"
#define OWN_LOGIN "mkcluster makes the kubeconfigs"

/* A name that ends in * stands for all that begin so. */
static const struct rule {
	unsigned components;
	const char *flag;
	const char *why;
} rules[] = {
	{ ON(API_SERVER), "advertise-address", OWN_NETWORK },
	{ ON(API_SERVER), "bind-address", OWN_NETWORK },
	{ ON(API_SERVER), "secure-port", "the API is published by networking.apiServerPort" },
	{ ON(API_SERVER), "etcd-servers", OWN_ETCD },
	{ ON(API_SERVER), "etcd-cafile", OWN_KEYS },
	{ ON(API_SERVER), "etcd-certfile", OWN_KEYS },
	{ ON(API_SERVER), "etcd-keyfile", OWN_KEYS },
	{ ON(API_SERVER), "kubelet-c*", OWN_KEYS },
	{ ON(API_SERVER), "proxy-client-*", OWN_KEYS },
	{ ON(API_SERVER), "service-cluster-ip-range", "networking.serviceSubnet says it" },
	{ ON(API_SERVER), "oidc-*",
		"it cannot stand beside --authentication-config, which mkcluster gives: name a "
		"file of your own by that flag" },
	{ ON(API_SERVER), "anonymous-auth",
		"it cannot stand beside --authentication-config, which mkcluster gives: name a "
		"file of your own by that flag" },
	{ ON(API_SERVER), "authorization-config", "it cannot stand beside --authorization-mode" },
	{ KUBE_SERVERS | ON(KUBELET), "client-ca-file", OWN_KEYS },
	{ KUBE_SERVERS | ON(KUBELET), "tls-cert-file", OWN_KEYS },
	{ KUBE_SERVERS | ON(KUBELET), "tls-private-key-file", OWN_KEYS },
	{ KUBE_SERVERS, "requestheader-*", OWN_KEYS },
	{ ON(CONTROLLER_MANAGER) | ON(SCHEDULER) | ON(KUBELET) | ON(PROXY), "kubeconfig",
		OWN_LOGIN },
	{ ON(CONTROLLER_MANAGER) | ON(SCHEDULER) | ON(KUBELET) | ON(PROXY), "master", OWN_LOGIN },
	{ ON(CONTROLLER_MANAGER) | ON(SCHEDULER), "authentication-kubeconfig", OWN_LOGIN },
	{ ON(CONTROLLER_MANAGER) | ON(SCHEDULER), "authorization-kubeconfig", OWN_LOGIN },
	{ ON(CONTROLLER_MANAGER), "allocate-node-cidrs", OWN_NETWORK },
	{ ON(CONTROLLER_MANAGER), "cluster-cidr", "networking.podSubnet says it" },
	{ ON(CONTROLLER_MANAGER), "service-cluster-ip-range", "networking.serviceSubnet says it" },
	{ ON(CONTROLLER_MANAGER), "cluster-signing-*", OWN_KEYS },
	{ ON(CONTROLLER_MANAGER), "root-ca-file", OWN_KEYS },
	{ ON(CONTROLLER_MANAGER), "service-account-private-key-file", OWN_KEYS },
	{ ON(CONTROLLER_MANAGER), "use-service-account-credentials",
		"the controllers have no rights without" },
	{ ON(ETCD), "name", OWN_ETCD },
	{ ON(ETCD), "data-dir", OWN_ETCD },
	{ ON(ETCD), "config-file", "etcd then reads no flags" },
	{ ON(ETCD), "initial-*", OWN_ETCD },
	{ ON(ETCD), "advertise-client-urls", OWN_ETCD },
	{ ON(ETCD), "listen-client-urls", OWN_ETCD },
	{ ON(ETCD), "listen-peer-urls", OWN_ETCD },
	{ ON(ETCD), "discovery*", OWN_ETCD },
	{ ON(ETCD), "force-new-cluster", OWN_ETCD },
	{ ON(ETCD), "client-cert-auth", OWN_KEYS },
	{ ON(ETCD), "trusted-ca-file", OWN_KEYS },
	{ ON(ETCD), "cert-file", OWN_KEYS },
	{ ON(ETCD), "key-file", OWN_KEYS },
	{ ON(ETCD), "auto-tls", OWN_KEYS },
	{ ON(ETCD), "peer-*", OWN_KEYS },
	{ ON(KUBELET), "config", "fields of the kubelet's configuration can be given instead" },
	{ ON(KUBELET), "config-dir", "fields of the kubelet's configuration can be given instead" },
	{ ON(KUBELET), "bootstrap-kubeconfig", OWN_LOGIN },
	{ ON(KUBELET), "hostname-override", "mkcluster names the nodes" },
	{ ON(KUBELET), "node-ip", "a node's ip says it" },
	{ ON(KUBELET), "node-labels", "a node's labels say it" },
	{ ON(KUBELET), "register-with-taints", "a node's taints say it" },
	{ ON(KUBELET), "register-node", "a node that does not register is none" },
	{ ON(KUBELET), "container-runtime-endpoint", "containerd is where it is" },
	{ ON(KUBELET), "image-service-endpoint", "containerd is where it is" },
	{ ON(KUBELET), "cgroup-driver", "it must be containerd's" },
	{ ON(KUBELET), "cluster-dns", "it follows from networking.serviceSubnet" },
	{ ON(KUBELET), "cluster-domain", "it is cluster.local, also in certificates" },
	{ ON(KUBELET), "fail-cgroupv1", "hosts decide that" },
	{ ON(KUBELET), "cloud-provider", "there is no cloud that would let the node in" },
	{ ON(PROXY), "config", "fields of kube-proxy's configuration can be given instead" },
	{ ON(PROXY), "hostname-override", "mkcluster names the nodes" },
};

/* https://github.com/kubernetes/kubernetes/blob/v1.36.3/cmd/kube-proxy/app/options.go: with
 * --config all flags but those of the log are read and forgotten. */
static bool is_read_by_proxy(const char *flag)
{
	return mk_streq(flag, "v") || mk_streq(flag, "vmodule") || mk_after_prefix(flag, "log");
}

static bool matches(const char *pattern, const char *flag)
{
	size_t n = strcspn(pattern, "*");

	return strncmp(pattern, flag, n) == 0 && (pattern[n] == '*' || flag[n] == '\0');
}

static const char *reason_against(enum mk_component component, const char *flag)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(rules); i++) {
		if ((rules[i].components & 1U << component) && matches(rules[i].flag, flag))
			return rules[i].why;
	}
	if (component == MK_COMPONENT_PROXY && !is_read_by_proxy(flag))
		return "beside its configuration kube-proxy reads only the flags of its log";
	return NULL;
}

static bool has_word(const char *list, const char *word)
{
	mk_autostrlist words = { .items = NULL };

	mk_strlist_split(&words, list, ",");
	return mk_strlist_has(&words, word);
}

/* The gateway's service has a port of its own there. */
static bool has_gateway_port(const char *range)
{
	mk_autostrlist ends = { .items = NULL };
	uint64_t first, last;

	mk_strlist_split(&ends, range, "-");
	return ends.count == 2 && mk_parse_uint(ends.items[0], 1, 65535, &first) &&
		mk_parse_uint(ends.items[1], 1, 65535, &last) && first <= MK_GATEWAY_PORT &&
		last >= MK_GATEWAY_PORT;
}

/* Flags that are fine with some values. */
static int check_value(enum mk_component component, const char *flag, const char *value,
	const struct mk_cluster_spec *spec, struct mk_error *err)
{
	bool api_server = component == MK_COMPONENT_API_SERVER;

	if (mk_streq(flag, "feature-gates") && json_object_size(spec->feature_gates) > 0)
		return mk_fail(err, MK_EUSAGE, "featureGates is given, too: give them there alone");
	if (api_server && mk_streq(flag, "runtime-config") &&
		json_object_size(spec->runtime_config) > 0)
		return mk_fail(err, MK_EUSAGE, "runtimeConfig is given, too: give it there alone");
	if (api_server && mk_streq(flag, "authorization-mode") &&
		!(has_word(value, "Node") && has_word(value, "RBAC")))
		return mk_fail(err, MK_EUSAGE,
			"must have Node and RBAC in it, by which the "
			"cluster's own parts have their rights");
	if (api_server && mk_streq(flag, "service-node-port-range") && spec->openfaas &&
		!has_gateway_port(value))
		return mk_fail(err, MK_EUSAGE, "must have %d in it, the port of OpenFaaS' gateway",
			MK_GATEWAY_PORT);
	return 0;
}

int mk_config_check_flag(enum mk_component component, const char *flag, const char *value,
	const struct mk_cluster_spec *spec, struct mk_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *why;

	if (*flag == '-')
		return mk_fail(err, MK_EUSAGE, "is to be without the dashes before it");
	if (!*flag || strspn(flag, allowed) != strlen(flag))
		return mk_fail(err, MK_EUSAGE, "must be a flag's name, of a-z, 0-9 and -");
	if (strpbrk(value, "\r\n"))
		return mk_fail(err, MK_EUSAGE, "must be a single line");
	why = reason_against(component, flag);
	if (why)
		return mk_fail(err, MK_EUSAGE, "cannot be given: %s", why);
	return check_value(component, flag, value, spec, err);
}

void mk_config_check_flags(struct mk_decode *d, enum mk_component component, const json_t *args,
	const struct mk_cluster_spec *spec, const char *path)
{
	const char *flag;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)args, flag, value) {
		mk_autofree char *at = mk_xasprintf("%s.%s", path, flag);
		mk_autoerror err = { .code = MK_OK };

		if (mk_config_check_flag(component, flag, json_string_value(value), spec, &err) < 0)
			mk_decode_problem(d, at, "%s", err.message);
	}
}

json_t **mk_config_args_of(struct mk_cluster_spec *spec, enum mk_component component)
{
	switch (component) {
	case MK_COMPONENT_API_SERVER:
		return &spec->api_server_args;
	case MK_COMPONENT_CONTROLLER_MANAGER:
		return &spec->controller_manager_args;
	case MK_COMPONENT_SCHEDULER:
		return &spec->scheduler_args;
	case MK_COMPONENT_ETCD:
		return &spec->etcd_args;
	case MK_COMPONENT_KUBELET:
		return &spec->kubelet_args;
	case MK_COMPONENT_PROXY:
		break;
	}
	return &spec->proxy_args;
}
