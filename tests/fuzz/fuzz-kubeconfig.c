/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's kubeconfig of any contents: a merge either refuses it and leaves it
 * alone, or puts the entry in for good, and a removal takes it out again.
 */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/kube/client.h"
#include "lib/kube/userconfig.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

static char folder[] = "/tmp/fuzz-kubeconfig-XXXXXX";
static char path[sizeof(folder) + 8];

static void remove_folder(void)
{
	mk_autoerror err = { .code = MK_OK };

	(void)!mk_fs_remove_all(folder, &err);
}

static void prepare(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	/* In memory where possible: every change is synced to its disk. */
	if (access("/dev/shm", W_OK) == 0)
		memcpy(folder, "/dev/shm/fuzz-kconf-XXXXXX", sizeof(folder) - 1);
	MUST(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/config", folder);
	(void)atexit(remove_folder);
}

static void read_back(struct mk_buf *ret)
{
	mk_autoerror err = { .code = MK_OK };

	MUST(mk_fs_read(path, ret, &err) == 0);
}

static void check_gone(const char *name)
{
	static const char *const lists[] = { "clusters", "contexts", "users" };
	mk_autobuf text = mk_buf_init(8 * MK_MIB);
	mk_autojson *root = NULL;
	mk_autoerror err = { .code = MK_OK };
	const json_t *item;
	size_t at;

	read_back(&text);
	MUST(mk_yaml_parse(text.data, text.len, path, &root, &err) == 0);
	MUST(!mk_streq(mk_json_str(root, "current-context", ""), name));
	for (size_t i = 0; i < MK_ARRAY_LEN(lists); i++) {
		json_array_foreach (json_object_get(root, lists[i]), at, item)
			MUST(!mk_streq(mk_json_str(item, "name", ""), name));
	}
}

static void check_merged(const struct mk_userconfig_entry *entry)
{
	mk_autobuf once = mk_buf_init(8 * MK_MIB);
	mk_autobuf twice = mk_buf_init(8 * MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	mk_autoidentity identity = { .server = NULL };

	read_back(&once);
	MUST(mk_kube_identity_parse(once.data, once.len, &identity, &err) == 0);
	MUST(mk_streq(identity.server, entry->server));
	MUST(mk_streq(identity.key_pem, entry->key_pem));
	MUST(mk_userconfig_merge(path, entry, true, NULL, &err) == 0);
	read_back(&twice);
	MUST(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	MUST(mk_userconfig_remove(path, entry->name, &err) == 0);
	check_gone(entry->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mk_userconfig_entry entry = { .name = "mkcluster-fuzz",
		.server = "https://127.0.0.1:1",
		.ca_pem = "ca",
		.cert_pem = "cert",
		.key_pem = "key" };
	mk_autobuf after = mk_buf_init(8 * MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	FILE *file;

	if (size > MK_MAX_CONFIG_FILE / 2)
		return 0;
	prepare();
	file = fopen(path, "w");
	MUST(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
	if (mk_userconfig_merge(path, &entry, true, NULL, &err) == 0) {
		check_merged(&entry);
		return 0;
	}
	MUST(err.code == MK_EINVALID);
	read_back(&after);
	MUST(after.len == size && memcmp(after.data, data, size) == 0);
	return 0;
}
