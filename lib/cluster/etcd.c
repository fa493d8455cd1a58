/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/etcd.h"

#include "lib/base/clock.h"
#include "lib/docker/container.h"

#define MAX_OUTPUT ((size_t)65536)
#define TIMEOUT_MS 15000
#define RETRY_MS 100
#define MAX_WORDS 6

/* A command goes on in the node when we hang up: an interrupt waits so long to know
 * what it did. */
#define GRACE_MS 3000

/* Its log comes first, a JSON object a line; what it has to say comes last. */
const char *mk_etcd_said(const char *output)
{
	const char *said = strstr(output, "Error: ");

	return said ? said + strlen("Error: ") : output;
}

static int fail_etcdctl(const char *const *words, const char *output, struct mk_error *err)
{
	const char *said = mk_etcd_said(output);

	return mk_fail(err, MK_EREMOTE, "etcdctl %s %s: %.*s", words[0], words[1],
		(int)strcspn(said, "\n"), said);
}

int mk_etcd_ctl(struct mk_docker *docker, const char *container, const char *const *words,
	struct mk_buf *ret, struct mk_error *err)
{
	const char *argv[6 + MAX_WORDS] = { "etcdctl", MK_ETCDCTL_OPTIONS };
	int status = -1;
	int r;

	for (size_t i = 0; i < MAX_WORDS && words[i]; i++)
		argv[5 + i] = words[i];
	mk_interrupt_delay(GRACE_MS);
	r = mk_container_exec(docker, container, argv, TIMEOUT_MS, ret, &status, err);
	mk_interrupt_delay(0);
	/* A container that has stopped is no name that the user gave. */
	if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		return mk_error_recode(err, MK_EREMOTE);
	if (r < 0)
		return r;
	if (status == 0)
		return 0;
	return fail_etcdctl(words, ret->data, err);
}

/* A member's id is a 64-bit number in hex. */
static bool is_id(const char *line, size_t len)
{
	return len > 0 && len <= 16 && strspn(line, "0123456789abcdef") == len;
}

/* "ID, started, NAME, https://IP:2380, https://IP:2379, false", a line a member; the
 * log of etcdctl may stand before them. */
char *mk_etcd_find(const char *list, const char *ip)
{
	mk_autofree char *peer = mk_xasprintf(" https://%s:2380,", ip);
	mk_autostrlist lines = { .items = NULL };

	mk_strlist_split(&lines, list, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		size_t len = strcspn(lines.items[i], ",");

		if (is_id(lines.items[i], len) && strstr(lines.items[i] + len, peer))
			return mk_xstrndup(lines.items[i], len);
	}
	return NULL;
}

/* The id of the member at `ip`, or NULL when there is none. */
static int find_member(struct mk_docker *docker, const char *container, const char *ip, char **ret,
	struct mk_error *err)
{
	static const char *const words[] = { "member", "list", NULL };
	mk_autobuf output = mk_buf_init(MAX_OUTPUT);
	int r = mk_etcd_ctl(docker, container, words, &output, err);

	if (r == 0)
		*ret = mk_etcd_find(output.data, ip);
	return r;
}

/* Again and again while etcd refuses with a word that passes by itself. */
static int etcdctl_until(struct mk_docker *docker, const char *container, const char *const *words,
	const char *passing, int64_t deadline, struct mk_error *err)
{
	for (;;) {
		mk_autobuf output = mk_buf_init(MAX_OUTPUT);
		int r = mk_etcd_ctl(docker, container, words, &output, err);

		if (r != -MK_EREMOTE || !strstr(err->message, passing))
			return r;
		if (mk_remaining_ms(deadline) == 0)
			return mk_error_recode(err, MK_ETIMEOUT);
		mk_error_done(err);
		r = mk_sleep_ms(RETRY_MS, err);
		if (r < 0)
			return r;
	}
}

int mk_etcd_add_learner(struct mk_docker *docker, const char *container, const char *name,
	const char *ip, int64_t deadline, struct mk_error *err)
{
	mk_autofree char *urls = mk_xasprintf("--peer-urls=https://%s:2380", ip);
	const char *words[] = { "member", "add", name, urls, "--learner", NULL };
	/* For five seconds after a member came, the others are not sure of it. */
	static const char passing[] = "unhealthy cluster";
	int r = etcdctl_until(docker, container, words, passing, deadline, err);

	if (r == -MK_EREMOTE && strstr(err->message, "too many learner"))
		mk_error_hint(err,
			"a control plane that did not join is in the way: `mkcluster node "
			"remove` takes it out");
	if (r != -MK_EREMOTE || !strstr(err->message, "Peer URLs already exist"))
		return r;
	/* No node has this address: a run that was killed has left the member. */
	mk_error_done(err);
	r = mk_etcd_remove(docker, container, ip, deadline, err);
	return r == 0 ? etcdctl_until(docker, container, words, passing, deadline, err) : r;
}

int mk_etcd_promote(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err)
{
	mk_autofree char *id = NULL;
	int r = find_member(docker, container, ip, &id, err);
	const char *words[] = { "member", "promote", id, NULL };

	if (r < 0)
		return r;
	if (!id)
		return mk_fail(err, MK_ENOTFOUND, "etcd has no member at %s", ip);
	/* Refused until the learner has nearly all that the leader has. */
	return etcdctl_until(docker, container, words, "in sync with leader", deadline, err);
}

int mk_etcd_remove(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err)
{
	mk_autofree char *id = NULL;
	int r = find_member(docker, container, ip, &id, err);
	const char *words[] = { "member", "remove", id, NULL };

	if (r < 0 || !id)
		return r;
	/* For five seconds after one has started, they are not sure of each other. */
	return etcdctl_until(docker, container, words, "unhealthy cluster", deadline, err);
}
