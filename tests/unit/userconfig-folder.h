/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for each test of the user's kubeconfig, and files in it. */
#ifndef MK_TESTS_USERCONFIG_FOLDER_H
#define MK_TESTS_USERCONFIG_FOLDER_H

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/kube/userconfig-lock.h"
#include "lib/kube/userconfig.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct mk_userconfig_entry dev = {
	.name = "mkcluster-dev",
	.server = "https://127.0.0.1:6443",
	.ca_pem = "ca",
	.cert_pem = "cert",
	.key_pem = "key",
};

static const char fresh[] = "apiVersion: v1\n"
			    "clusters:\n"
			    "- cluster:\n"
			    "    certificate-authority-data: Y2E=\n"
			    "    server: https://127.0.0.1:6443\n"
			    "  name: mkcluster-dev\n"
			    "contexts:\n"
			    "- context:\n"
			    "    cluster: mkcluster-dev\n"
			    "    user: mkcluster-dev\n"
			    "  name: mkcluster-dev\n"
			    "current-context: mkcluster-dev\n"
			    "kind: Config\n"
			    "users:\n"
			    "- name: mkcluster-dev\n"
			    "  user:\n"
			    "    client-certificate-data: Y2VydA==\n"
			    "    client-key-data: a2V5\n";

/* Each test runs inside a new folder, with HOME there and no KUBECONFIG. */
static inline int enter(void **state)
{
	char *folder = mk_xstrdup("/tmp/test-userconfig-XXXXXX");

	*state = folder;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	(void)umask(022);
	return setenv("HOME", folder, 1) < 0 || unsetenv("KUBECONFIG") < 0 ? -1 : 0;
}

static inline int leave(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	int r = chdir("/");

	mk_interrupt_reset();
	r = r < 0 || mk_fs_remove_all(*state, &err) < 0 ? -1 : 0;
	free(*state);
	return r;
}

static inline void put(const char *path, const char *text)
{
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_write_atomic(path, text, strlen(text), 0600, &err), 0);
}

static inline char *get(const char *path)
{
	mk_autobuf buf = mk_buf_init(2 * MK_MIB);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_read(path, &buf, &err), 0);
	return mk_buf_detach(&buf);
}

static inline void assert_text(const char *path, const char *text)
{
	mk_autofree char *found = get(path);

	assert_string_equal(found, text);
}

static inline struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static inline void merge(const char *path, const struct mk_userconfig_entry *e, bool switch_context)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_userconfig_merge(path, e, switch_context, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

#endif
