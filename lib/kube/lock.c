/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/lock.h"

#include "lib/base/clock.h"
#include "lib/base/str.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* The lease may be given back and taken by others while we look. */
#define TRIES 5

/* The server makes a lease also when we hang up; our answer, with which it is given
 * back, is waited for so long after an interrupt. */
#define GRACE_MS 3000

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"

/* "HOST:PID", the holder's name. Caller frees. */
static char *holder(void)
{
	char host[65] = "";

	(void)gethostname(host, sizeof(host) - 1);
	return mk_xasprintf("%s:%d", host, (int)getpid());
}

/* RFC 3339 with microseconds, as the type MicroTime wants it. Caller frees. */
static char *print_time(time_t t)
{
	char text[40];
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
	return mk_xstrdup(text);
}

static json_t *lease_of(const char *name, int64_t seconds, const char *version)
{
	mk_autofree char *who = holder();
	mk_autofree char *now = print_time(time(NULL));
	json_t *lease = mk_json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:I,s:s,s:s}}", "apiVersion",
		"coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", name, "spec",
		"holderIdentity", who, "leaseDurationSeconds", (json_int_t)seconds, "acquireTime",
		now, "renewTime", now);

	if (version)
		(void)json_object_set_new(json_object_get(lease, "metadata"), "resourceVersion",
			json_string(version));
	return lease;
}

/* When the lease runs out, by the clock of whoever took it. Its duration is an int32
 * (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/). */
static time_t end_of(const json_t *lease)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *text = mk_json_str(lease, "spec.renewTime", "");
	int64_t seconds = mk_json_int(lease, "spec.leaseDurationSeconds", 0);

	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	return timegm(&tm) + (time_t)(seconds >= 0 && seconds <= INT32_MAX ? seconds : 0);
}

/* Whether the holder was a process of this host, and is no more. */
static bool is_dead(const char *identity)
{
	const char *colon = strrchr(identity, ':');
	char host[65] = "";
	uint64_t pid;

	if (!colon || gethostname(host, sizeof(host) - 1) < 0)
		return false;
	if (strlen(host) != (size_t)(colon - identity) ||
		strncmp(host, identity, strlen(host)) != 0 ||
		!mk_parse_uint(colon + 1, 1, INT32_MAX, &pid))
		return false;
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static int fail_held(const char *name, const json_t *lease, struct mk_error *err)
{
	time_t left = end_of(lease) - time(NULL);

	(void)mk_fail(err, MK_EEXISTS, "another run (%.80s) holds the lock '%s'",
		mk_json_str(lease, "spec.holderIdentity", "?"), name);
	mk_error_hint(
		err, "try again when it has ended; at the latest, in %lld s", (long long)left);
	return -MK_EEXISTS;
}

/* Whether nobody holds the lease, or we do: the answer to our request was lost. */
static bool is_free(const json_t *lease)
{
	const char *identity = mk_json_str(lease, "spec.holderIdentity", "");
	mk_autofree char *self = holder();

	return end_of(lease) <= time(NULL) || is_dead(identity) || mk_streq(identity, self);
}

/* Put our lease in the place of one that nobody holds any more. 1: it is another one
 * by now, or none. */
static int take_over(struct mk_kube *kube, const char *name, const char *path, int64_t seconds,
	json_t **ret, struct mk_error *err)
{
	mk_autojson *old = NULL;
	mk_autojson *mine = NULL;
	int r = mk_kube_call(kube, "GET", path, NULL, &old, err);

	if (r == 0 && !is_free(old))
		return fail_held(name, old, err);
	if (r == 0) {
		mine = lease_of(name, seconds, mk_json_str(old, "metadata.resourceVersion", ""));
		r = mk_kube_call(kube, "PUT", path, mine, ret, err);
	}
	return r == -MK_ENOTFOUND || r == -MK_EEXISTS ? 1 : r;
}

static int take(struct mk_kube *kube, const char *name, const char *path, int64_t seconds,
	json_t **ret, struct mk_error *err)
{
	mk_autojson *mine = lease_of(name, seconds, NULL);
	int r = 1;

	for (int tries = 0; tries < TRIES && r > 0; tries++) {
		mk_error_done(err);
		r = mk_kube_call(kube, "POST", LEASES, mine, ret, err);
		if (r != -MK_EEXISTS)
			break;
		mk_error_done(err);
		r = take_over(kube, name, path, seconds, ret, err);
	}
	/* Its words stay, but the name is not what is wrong. */
	return r > 0 ? mk_error_recode(err, MK_EREMOTE) : r;
}

int mk_kube_lock(struct mk_kube *kube, const char *name, int64_t seconds, struct mk_kube_lock *ret,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(LEASES "/%s", name);
	mk_autojson *made = NULL;
	int r;

	mk_interrupt_delay(GRACE_MS);
	r = take(kube, name, path, seconds, &made, err);
	mk_interrupt_delay(0);
	if (r < 0)
		return r == -MK_EEXISTS ? r : mk_error_wrap(err, "lock '%s'", name);
	*ret = (struct mk_kube_lock){
		.kube = kube,
		.path = MK_TAKE(path),
		.version = mk_xstrdup(mk_json_str(made, "metadata.resourceVersion", "")),
	};
	return 0;
}

void mk_kube_unlock(struct mk_kube_lock *lock)
{
	mk_autoerror ignored = { .code = MK_OK };
	mk_autojson *ours = NULL;

	if (lock->kube) {
		ours = mk_json_pack("{s:{s:s}}", "preconditions", "resourceVersion", lock->version);
		mk_interrupt_shield(true);
		(void)!mk_kube_call(lock->kube, "DELETE", lock->path, ours, NULL, &ignored);
		mk_interrupt_shield(false);
	}
	free(lock->path);
	free(lock->version);
	*lock = (struct mk_kube_lock){ .kube = NULL };
}
