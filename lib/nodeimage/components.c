/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nodeimage/components.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define FILES(...) ((const struct mk_release_file[]){ __VA_ARGS__, { .url = NULL } })
#define BIN "/usr/local/bin/"
#define CNI "/opt/cni/bin/"
#define RELEASE(repository) "https://github.com/" repository "/releases/download/"
#define K8S "https://dl.k8s.io/v${VERSION}/bin/linux/${ARCH}/"

#define KUBERNETES_FILE(program)                                                                   \
	{                                                                                          \
		.url = K8S program, .checksum_url = K8S program ".sha256",                         \
		.members = { { .path = BIN program } },                                            \
	}

/* Both packages hold the version: one is what the servers and kubectl say, the
 * other what clients send as their User-Agent. */
#define KUBERNETES_STAMP(package)                                                                  \
	"-X " package ".gitVersion=v${VERSION} -X " package ".gitMajor=1 -X " package              \
	".gitMinor=36 -X " package ".gitTreeState=archive "                                        \
	"-X " package ".buildDate=2026-07-22T18:07:38Z "

#define CONTAINERD "github.com/containerd/containerd/v2/"
#define PLUGINS "github.com/containernetworking/plugins/"
#define DISTRIBUTION "github.com/distribution/distribution/v3/"
#define PROMETHEUS_COMMON "github.com/prometheus/common/version"
#define STRIP "-s -w "

const char *const mk_os_packages[] = { "systemd", "systemd-sysv", "kmod", "iproute2", "iptables",
	"nftables", "conntrack", "curl", "ipset", "socat", "procps", "ethtool", "ca-certificates",
	"catatonit", "busybox-static", "haproxy", "util-linux", "mount", NULL };

/* The order is the order of building: the longest first. */
const struct mk_component mk_components[] = {
	{
		.name = "kubernetes",
		.version = MK_KUBERNETES_VERSION,
		.license = "Apache-2.0",
		.files = FILES(KUBERNETES_FILE("kube-apiserver"),
			KUBERNETES_FILE("kube-controller-manager"),
			KUBERNETES_FILE("kube-scheduler"), KUBERNETES_FILE("kubelet"),
			KUBERNETES_FILE("kube-proxy"), KUBERNETES_FILE("kubectl")),
		.build = &(const struct mk_gobuild){
			.folder = "modules/kubernetes",
			.packages = LIST("."),
			.ldflags = STRIP KUBERNETES_STAMP("k8s.io/component-base/version")
				KUBERNETES_STAMP("k8s.io/client-go/pkg/version"),
			.outputs = { { .name = "kubernetes", .path = BIN "kubernetes",
				.links = LIST("kube-apiserver", "kube-controller-manager",
					"kube-scheduler", "kubelet", "kube-proxy", "kubectl") } },
		},
	},
	{
		.name = "etcd",
		.version = "3.6.8",
		.license = "Apache-2.0",
		.files = FILES({
			.url = RELEASE("etcd-io/etcd")
				"v${VERSION}/etcd-v${VERSION}-linux-${ARCH}.tar.gz",
			.checksum_url = RELEASE("etcd-io/etcd") "v${VERSION}/SHA256SUMS",
			.members = {
				{ "etcd-v${VERSION}-linux-${ARCH}/etcd", BIN "etcd" },
				{ "etcd-v${VERSION}-linux-${ARCH}/etcdctl", BIN "etcdctl" },
				{ "etcd-v${VERSION}-linux-${ARCH}/etcdutl", BIN "etcdutl" },
			},
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/etcd",
			.packages = LIST("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3",
				"go.etcd.io/etcd/etcdutl/v3"),
			.ldflags = STRIP,
			.outputs = {
				{ .name = "server", .path = BIN "etcd" },
				{ .name = "etcdctl", .path = BIN "etcdctl" },
				{ .name = "etcdutl", .path = BIN "etcdutl" },
			},
		},
	},
	{
		.name = "containerd",
		.version = "2.4.2",
		.license = "Apache-2.0",
		.files = FILES({
			.url = RELEASE("containerd/containerd")
				"v${VERSION}/containerd-${VERSION}-linux-${ARCH}.tar.gz",
			.checksum_url = RELEASE("containerd/containerd")
				"v${VERSION}/containerd-${VERSION}-linux-${ARCH}.tar.gz.sha256sum",
			.members = {
				{ "bin/containerd", BIN "containerd" },
				{ "bin/containerd-shim-runc-v2", BIN "containerd-shim-runc-v2" },
				{ "bin/ctr", BIN "ctr" },
			},
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/containerd",
			.packages = LIST(CONTAINERD "cmd/containerd",
				CONTAINERD "cmd/containerd-shim-runc-v2", CONTAINERD "cmd/ctr"),
			.ldflags = STRIP "-X " CONTAINERD "version.Version=v${VERSION}",
			.outputs = {
				{ .name = "containerd", .path = BIN "containerd" },
				{ .name = "containerd-shim-runc-v2",
					.path = BIN "containerd-shim-runc-v2" },
				{ .name = "ctr", .path = BIN "ctr" },
			},
		},
	},
	{
		.name = "runc",
		.version = "1.5.2",
		.license = "Apache-2.0",
		.files = FILES({
			.url = RELEASE("opencontainers/runc") "v${VERSION}/runc.${ARCH}",
			.checksum_url = RELEASE("opencontainers/runc") "v${VERSION}/runc.sha256sum",
			.members = { { .path = BIN "runc" } },
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/runc",
			.packages = LIST("github.com/opencontainers/runc"),
			/* Without seccomp every pod fails: the default profile asks for it. */
			.tags = "netgo,osusergo,seccomp",
			.ldflags = STRIP "-extldflags -static -X main.version=${VERSION}",
			.cgo = true,
			.outputs = { { .name = "runc", .path = BIN "runc" } },
		},
	},
	{
		.name = "cni-plugins",
		.version = "1.9.1",
		.license = "Apache-2.0",
		.files = FILES({
			.url = RELEASE("containernetworking/plugins")
				"v${VERSION}/cni-plugins-linux-${ARCH}-v${VERSION}.tgz",
			.checksum_url = RELEASE("containernetworking/plugins")
				"v${VERSION}/cni-plugins-linux-${ARCH}-v${VERSION}.tgz.sha256",
			.members = {
				{ "bridge", CNI "bridge" },
				{ "loopback", CNI "loopback" },
				{ "ptp", CNI "ptp" },
				{ "host-local", CNI "host-local" },
				{ "portmap", CNI "portmap" },
			},
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/cni-plugins",
			.packages = LIST(PLUGINS "plugins/main/bridge",
				PLUGINS "plugins/main/loopback", PLUGINS "plugins/main/ptp",
				PLUGINS "plugins/ipam/host-local", PLUGINS "plugins/meta/portmap"),
			.ldflags = STRIP "-X " PLUGINS
				"pkg/utils/buildversion.BuildVersion=v${VERSION}",
			.outputs = {
				{ .name = "bridge", .path = CNI "bridge" },
				{ .name = "loopback", .path = CNI "loopback" },
				{ .name = "ptp", .path = CNI "ptp" },
				{ .name = "host-local", .path = CNI "host-local" },
				{ .name = "portmap", .path = CNI "portmap" },
			},
		},
	},
	{
		.name = "registry",
		.version = "3.1.2",
		.license = "Apache-2.0",
		.files = FILES({
			.url = RELEASE("distribution/distribution")
				"v${VERSION}/registry_${VERSION}_linux_${ARCH}.tar.gz",
			.checksum_url = RELEASE("distribution/distribution")
				"v${VERSION}/registry_${VERSION}_linux_${ARCH}.tar.gz.sha256",
			.members = { { "registry", BIN "registry" } },
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/registry",
			.packages = LIST("."),
			.ldflags = STRIP "-X " DISTRIBUTION "version.version=v${VERSION}",
			.outputs = { { .name = "registry", .path = BIN "registry" } },
		},
	},
	{
		.name = "pause",
		.version = "3.10.1",
		.module_version = "0.1.7",
		.license = "Apache-2.0 (Debian's catatonit in its place: GPL-2.0-or-later)",
		.image = &(const struct mk_podimage){
			.role = "pause",
			.reference = "registry.k8s.io/pause:${VERSION}",
			.local = "mkcluster.local/pause:${MODULE_VERSION}",
			.command = LIST("/usr/bin/catatonit", "-P"),
			.user = "65535",
			.os_file = "/usr/bin/catatonit",
		},
	},
	{
		.name = "coredns",
		.version = "1.14.1",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/coredns",
			.packages = LIST("."),
			.ldflags = STRIP,
			.outputs = { { .name = "coredns", .path = "/coredns" } },
		},
		.image = &(const struct mk_podimage){
			.role = "coredns",
			.reference = "docker.io/coredns/coredns:${VERSION}",
			.local = "mkcluster.local/coredns:${MODULE_VERSION}",
			.command = LIST("/coredns"),
			.user = "0",
		},
	},
	{
		.name = "metrics-server",
		.version = "0.9.0",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/metrics-server",
			.packages = LIST("sigs.k8s.io/metrics-server/cmd/metrics-server"),
			/* As upstream: it reports client-go's version as its own. */
			.ldflags = STRIP "-X k8s.io/client-go/pkg/version.gitVersion=v${VERSION}",
			.outputs = { { .name = "metrics-server", .path = "/metrics-server" } },
		},
		.image = &(const struct mk_podimage){
			.role = "metrics-server",
			.reference = "registry.k8s.io/metrics-server/metrics-server:v${VERSION}",
			.local = "mkcluster.local/metrics-server:${MODULE_VERSION}",
			.command = LIST("/metrics-server"),
			.user = "65534",
		},
	},
	{
		.name = "local-path-provisioner",
		.version = "0.0.30",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/local-path-provisioner",
			.packages = LIST("github.com/rancher/local-path-provisioner"),
			.ldflags = STRIP "-X main.VERSION=v${VERSION}",
			.outputs = { { .name = "local-path-provisioner",
				.path = "/usr/bin/local-path-provisioner" } },
		},
		.image = &(const struct mk_podimage){
			.role = "local-path-provisioner",
			.reference = "docker.io/rancher/local-path-provisioner:v${VERSION}",
			.local = "mkcluster.local/local-path-provisioner:${MODULE_VERSION}",
			.command = LIST("/usr/bin/local-path-provisioner"),
			.user = "65534",
		},
	},
	{
		.name = "busybox",
		.version = "1.37.0",
		.module_version = "1.35.0",
		.license = "GPL-2.0-only",
		.image = &(const struct mk_podimage){
			.role = "local-path-helper",
			.reference = "docker.io/library/busybox:${VERSION}",
			.local = "mkcluster.local/busybox:${MODULE_VERSION}",
			.command = LIST("/bin/sh"),
			.user = "65534",
			.os_file = "/bin/busybox",
			.os_links = LIST("/bin/sh"),
		},
	},
	{
		.name = "gateway",
		.version = "0.27.3",
		.module_version = "20260702-8d803bf9e265",
		.license = "OpenFaaS CE EULA (third-party parts MIT)",
		.note = "built from source under the OpenFaaS CE EULA: development and trial only",
		.build = &(const struct mk_gobuild){
			.folder = "modules/gateway",
			.packages = LIST("github.com/openfaas/faas/gateway"),
			.ldflags = STRIP "-X github.com/openfaas/faas/gateway/version.Version="
					 "${MODULE_VERSION}",
			.outputs = { { .name = "gateway", .path = "/gateway" } },
			.tree_module = "github.com/openfaas/faas/gateway",
			.tree = "assets",
		},
		.image = &(const struct mk_podimage){
			.role = "gateway",
			.reference = "ghcr.io/openfaas/gateway:${VERSION}",
			.local = "mkcluster.local/openfaas/gateway:${MODULE_VERSION}",
			.command = LIST("/gateway"),
			.user = "65534",
		},
	},
	{
		.name = "provider",
		.version = "0.17.3",
		.module_version = "0.1.0",
		.license = "MIT (the stand-in: Apache-2.0)",
		.note = "a stand-in: the genuine faas-netes is not published as a Go module",
		.build = &(const struct mk_gobuild){
			.folder = "provider",
			.packages = LIST("."),
			.ldflags = STRIP "-X main.version=${MODULE_VERSION}",
			.outputs = { { .name = "provider", .path = "/provider" } },
		},
		.image = &(const struct mk_podimage){
			.role = "provider",
			.reference = "ghcr.io/openfaas/faas-netes:${VERSION}",
			.local = "mkcluster.local/openfaas/provider-stand-in:${MODULE_VERSION}",
			.command = LIST("/provider"),
			.user = "65534",
		},
	},
	{
		.name = "queue-worker",
		.version = "0.14.1",
		.module_version = "20250415-ed5414157b54",
		.license = "MIT",
		.build = &(const struct mk_gobuild){
			.folder = "modules/queue-worker",
			.packages = LIST("github.com/openfaas/nats-queue-worker"),
			.ldflags = STRIP "-X github.com/openfaas/nats-queue-worker/version.Version="
					 "${MODULE_VERSION}",
			.outputs = { { .name = "nats-queue-worker", .path = "/worker" } },
		},
		.image = &(const struct mk_podimage){
			.role = "queue-worker",
			.reference = "ghcr.io/openfaas/queue-worker:${VERSION}",
			.local = "mkcluster.local/openfaas/queue-worker:${MODULE_VERSION}",
			.command = LIST("/worker"),
			.user = "65534",
		},
	},
	{
		.name = "nats-streaming",
		.version = "0.25.6",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/nats-streaming",
			.packages = LIST("github.com/nats-io/nats-streaming-server"),
			.ldflags = STRIP,
			.outputs = { { .name = "nats-streaming-server",
				.path = "/nats-streaming-server" } },
		},
		.image = &(const struct mk_podimage){
			.role = "nats",
			.reference = "docker.io/library/nats-streaming:${VERSION}",
			.local = "mkcluster.local/nats-streaming:${MODULE_VERSION}",
			.command = LIST("/nats-streaming-server"),
			.user = "65534",
		},
	},
	{
		.name = "prometheus",
		.version = "2.48.1",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/prometheus",
			.packages = LIST("github.com/prometheus/prometheus/cmd/prometheus"),
			.ldflags = STRIP "-X " PROMETHEUS_COMMON ".Version=${VERSION}",
			.outputs = { { .name = "prometheus", .path = "/bin/prometheus" } },
		},
		.image = &(const struct mk_podimage){
			.role = "prometheus",
			.reference = "docker.io/prom/prometheus:v${VERSION}",
			.local = "mkcluster.local/prometheus:${MODULE_VERSION}",
			.command = LIST("/bin/prometheus"),
			.user = "65534",
		},
	},
	{
		.name = "alertmanager",
		.version = "0.26.0",
		.license = "Apache-2.0",
		.build = &(const struct mk_gobuild){
			.folder = "modules/alertmanager",
			.packages = LIST("github.com/prometheus/alertmanager/cmd/alertmanager"),
			.ldflags = STRIP "-X " PROMETHEUS_COMMON ".Version=${VERSION}",
			.outputs = { { .name = "alertmanager", .path = "/bin/alertmanager" } },
		},
		.image = &(const struct mk_podimage){
			.role = "alertmanager",
			.reference = "docker.io/prom/alertmanager:v${VERSION}",
			.local = "mkcluster.local/alertmanager:${MODULE_VERSION}",
			.command = LIST("/bin/alertmanager"),
			.user = "65534",
		},
	},
	{
		.name = "faas-cli",
		.version = "0.13.15",
		.module_version = "20211012-08e3e965c831",
		.license = "MIT",
		.host_only = true,
		.files = FILES({
			.url = RELEASE("openfaas/faas-cli") "${VERSION}/faas-cli${ARCH_SUFFIX}",
			.checksum_url = RELEASE("openfaas/faas-cli")
				"${VERSION}/faas-cli${ARCH_SUFFIX}.sha256",
			.members = { { .path = BIN "faas-cli" } },
		}),
		.build = &(const struct mk_gobuild){
			.folder = "modules/faas-cli",
			.packages = LIST("github.com/openfaas/faas-cli"),
			.ldflags = STRIP "-X github.com/openfaas/faas-cli/version.Version="
					 "${MODULE_VERSION}",
			.outputs = { { .name = "faas-cli", .path = BIN "faas-cli" } },
		},
	},
};

const size_t mk_component_count = MK_ARRAY_LEN(mk_components);
