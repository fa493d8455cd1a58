/* SPDX-License-Identifier: Apache-2.0 */
/* Where mounts may come from and go to. */
#include "lib/cluster/config_syntax.h"

#include "lib/base/fs.h"
#include "lib/base/str.h"

/* What a node cannot do without, whole: nothing can be mounted there or below. */
static const char *const closed[] = { "/etc/cni", "/etc/containerd", "/etc/hostname", "/etc/hosts",
	"/etc/kubernetes/pki", "/etc/mkcluster", "/etc/resolv.conf", "/etc/systemd", "/opt/cni",
	"/proc", "/run/containerd", "/run/mkcluster", "/run/systemd", "/sys/fs/cgroup", "/usr/bin",
	"/usr/lib/systemd", "/usr/local/bin", "/usr/local/lib/mkcluster", "/usr/sbin",
	"/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet/pods", "/var/lib/registry" };

/* What must stay what it is, while something of its own can be mounted below. Every
 * parent of what is closed is such a place, too. */
static const char *const kept[] = { "/bin", "/dev", "/lib", "/lib64", "/sbin", "/tmp",
	"/var/lib/kubelet", "/var/log" };

/* Files of ours in /etc/kubernetes, where others may stand beside them. */
static const char *const files[] = { "admin.conf", "authentication.yaml", "controller-manager.conf",
	"encryption-config.yaml", "kube-proxy.conf", "kube-proxy.yaml", "kubelet.conf",
	"kubelet.yaml", "scheduler.conf" };

/* Whether `path` is `folder` or below it; both without a slash at the end. */
static bool is_within(const char *path, const char *folder)
{
	const char *rest = mk_after_prefix(path, folder);

	return rest && (*rest == '\0' || *rest == '/' || mk_has_suffix(folder, "/"));
}

/* In words after "is" what stands against mounting there, or NULL. */
static const char *obstacle(const char *path)
{
	const char *name = mk_after_prefix(path, "/etc/kubernetes/");

	for (size_t i = 0; i < MK_ARRAY_LEN(closed); i++) {
		if (is_within(path, closed[i]))
			return "a place that the node itself lives in";
		if (is_within(closed[i], path))
			return "a folder that the node itself lives in: mount something below it";
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(kept); i++) {
		if (mk_streq(path, kept[i]))
			return "a folder that the node itself lives in: mount something below it";
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(files) && name; i++) {
		if (mk_streq(name, files[i]))
			return "a file that mkcluster writes";
	}
	return NULL;
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

int mk_check_host_path(const char *value, struct mk_error *err)
{
	if (!*value)
		return mk_fail(err, MK_EUSAGE, "must be a path on the host");
	if (has_control(value) || strlen(value) > 4000)
		return mk_fail(err, MK_EUSAGE, "is too long, or holds control characters");
	return 0;
}

int mk_check_container_path(const char *value, struct mk_error *err)
{
	mk_autofree char *path = NULL;
	const char *run, *why;

	if (*value != '/')
		return mk_fail(err, MK_EUSAGE, "must be an absolute path, not '%.64s'", value);
	if (has_control(value) || strchr(value, ':') || strlen(value) > 4000)
		return mk_fail(
			err, MK_EUSAGE, "is too long, or holds a colon or control characters");
	path = mk_fs_absolute("/", value);
	/* A link in the image. */
	run = mk_after_prefix(path, "/var/run");
	if (run && (*run == '/' || *run == '\0')) {
		char *real = mk_xasprintf("/run%s", run);

		free(path);
		path = real;
	}
	why = obstacle(path);
	return why ? mk_fail(err, MK_EUSAGE, "%.200s is %s", value, why) : 0;
}
