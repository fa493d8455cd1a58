/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which encryption configuration an API server works with. It says so itself, by the
 * SHA-256 of the file that it has taken last, in its metrics (k8s.io/apiserver/pkg/server/
 * options/encryptionconfig/metrics): set at its start, and at a reload only after the new
 * keys are in use.
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/encryption_private.h"
#include "lib/docker/container.h"
#include "pki/table.h"

#define FLAG "--encryption-provider-config"

/* Each node's own API server, which may be one of several; two megabytes of metrics stay
 * in the node. The files are mkcluster's own. */
#define TAKEN                                                                                      \
	"want=$(sha256sum < " MK_PKI_ENCRYPTION_PATH " | cut -d' ' -f1)\n"                         \
	"taken() {\n"                                                                              \
	"\tkubectl --kubeconfig=" MK_PKI_KUBE_DIR "/admin.conf --request-timeout=5s get --raw "    \
	"/metrics |\n\t\tgrep -q \"^apiserver_encryption_config_controller_last_config_info"       \
	"{.*[{,]hash=\\\"sha256:$want\\\"}\"\n"                                                    \
	"}\n"

static const char ask_script[] = TAKEN
	"pid=$(systemctl show --property=MainPID --value kube-apiserver.service)\n"
	"tr '\\0' '\\n' < /proc/$pid/cmdline | grep '^" FLAG "'\n"
	"if taken; then echo taken; fi\n";

/* Its words when it fails are for the user. A try takes a tenth of a second. */
static const char wait_script[] = TAKEN
	"n=0\n"
	"until taken; do\n"
	"\tn=$((n + 1))\n"
	"\t[ $n -lt 150 ] || { echo 'still with an earlier file'; exit 3; }\n"
	"\tsleep 0.9\n"
	"done\n";

#define ASK_MS 20000
#define GRACE_MS 1000

int mk_encryption_read(struct mk_docker *docker, const char *node, const char *container,
	struct mk_buf *ret_text, struct mk_encryption *ret, struct mk_error *err)
{
	mk_autofree char *what = mk_xasprintf("%s:" MK_PKI_ENCRYPTION_PATH, node);
	int r = mk_container_read_file(docker, container, MK_PKI_ENCRYPTION_PATH, ret_text, err);

	if (r == -MK_ENOTFOUND)
		(void)mk_error_recode(err, MK_EREMOTE);
	if (r < 0)
		return mk_error_wrap(err, "node '%s'", node);
	return mk_encryption_parse(ret_text->data, ret_text->len, what, ret, err);
}

static struct mk_exec_item item_of(const struct mk_encryption_server *server, const char **argv)
{
	return (struct mk_exec_item){ .id = server->container,
		.argv = argv,
		.output = mk_buf_init(MK_MAX_EXEC_OUTPUT),
		.errors = mk_buf_init(MK_MAX_EXEC_OUTPUT) };
}

/* What it printed: its flags, then whether it has taken the file. */
static int judge(
	struct mk_encryption_server *server, const struct mk_exec_item *item, struct mk_error *err)
{
	mk_autostrlist lines = { .items = NULL };
	const char *file = NULL;

	mk_strlist_split(&lines, item->output.data, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *line = lines.items[i];
		const char *path = mk_after_prefix(line, FLAG "=");

		file = path ? path : file;
		server->reloads = server->reloads || mk_streq(line, FLAG "-automatic-reload=true");
		server->current = server->current || mk_streq(line, "taken");
	}
	if (!file)
		return mk_fail(err, MK_EREMOTE, "node '%s': its API server does not run: %.300s",
			server->node, item->errors.data);
	if (!mk_streq(file, MK_PKI_ENCRYPTION_PATH))
		return mk_fail(err, MK_EREMOTE,
			"node '%s': its API server reads %s, not " MK_PKI_ENCRYPTION_PATH,
			server->node, file);
	return 0;
}

int mk_encryption_ask(struct mk_docker *docker, struct mk_encryption_server *servers, size_t count,
	struct mk_error *err)
{
	const char *argv[] = { "sh", "-c", ask_script, NULL };
	mk_autofree struct mk_exec_item *items = mk_xcalloc(count, sizeof(*items));
	int r;

	for (size_t i = 0; i < count; i++)
		items[i] = item_of(&servers[i], argv);
	r = mk_container_exec_all(docker, items, count, ASK_MS, err);
	if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		r = mk_error_recode(err, MK_EREMOTE);
	for (size_t i = 0; i < count && r == 0; i++)
		r = judge(&servers[i], &items[i], err);
	mk_exec_items_done(items, count);
	return r;
}

int mk_encryption_wait(struct mk_docker *docker, const struct mk_encryption_server *servers,
	size_t count, int64_t deadline, struct mk_error *err)
{
	const char *argv[] = { "sh", "-c", wait_script, NULL };
	mk_autofree struct mk_exec_item *items = mk_xcalloc(count, sizeof(*items));
	int r;

	for (size_t i = 0; i < count; i++)
		items[i] = item_of(&servers[i], argv);
	r = mk_container_exec_all(docker, items, count, mk_remaining_ms(deadline) + GRACE_MS, err);
	if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		r = mk_error_recode(err, MK_EREMOTE);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (items[i].status != 0)
			r = mk_fail(err, MK_ETIMEOUT, "node '%s': its API server is %.300s",
				servers[i].node, items[i].output.data);
	}
	mk_exec_items_done(items, count);
	return r;
}
