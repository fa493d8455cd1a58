/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifests/node/limits/node-limits, run on cgroups made of files: both versions,
 * of which a machine has one.
 */
#include "lib/base/yaml.h"
#include "manifests/embed.h"
#include "tests/unit/test-docker-world.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	mk_autofree char *full = mk_xasprintf("%s/cgroup/%s", w.folder, path);
	mk_autofree char *folder = mk_xstrndup(full, (size_t)(strrchr(full, '/') - full));

	assert_int_equal(mk_fs_mkdir_all(folder, 0755, &w.err), 0);
	assert_int_equal(mk_fs_write_atomic(full, text, strlen(text), 0644, &w.err), 0);
}

static void run_script(void)
{
	const struct mk_embedded *script = mk_embedded_find("node/limits/node-limits");
	mk_autofree char *cgroup = mk_xasprintf("%s/cgroup", w.folder);
	mk_autofree char *dropins = mk_xasprintf("%s/kubelet.d", w.folder);
	pid_t child = fork();
	int status = -1;

	assert_true(child >= 0);
	if (child == 0) {
		(void)execl("/bin/sh", "sh", "-c", script->data, "node-limits", cgroup, dropins,
			"kubeReserved", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static unsigned long long memory_of_host(void)
{
	mk_autobuf text = mk_buf_init(MK_MIB);
	unsigned long long kib = 0;

	assert_int_equal(mk_fs_read("/proc/meminfo", &text, &w.err), 0);
	assert_int_equal(sscanf(text.data, "MemTotal: %llu", &kib), 1);
	return kib * 1024;
}

/* -1: nothing is reserved, whatever the host has. */
static void assert_reserved(long long cpu_limit, long long memory_limit)
{
	mk_autofree char *path = mk_xasprintf("%s/kubelet.d/limits.conf", w.folder);
	mk_autobuf text = mk_buf_init(4096);
	mk_autojson *config = NULL;
	long long cpus = sysconf(_SC_NPROCESSORS_ONLN) * 1000 - cpu_limit;
	mk_autofree char *cpu = mk_xasprintf("%lldm", cpu_limit < 0 ? 0 : cpus);
	mk_autofree char *memory = mk_xasprintf(
		"%lld", memory_limit < 0 ? 0 : (long long)memory_of_host() - memory_limit);

	assert_int_equal(mk_fs_read(path, &text, &w.err), 0);
	assert_int_equal(mk_yaml_parse(text.data, text.len, path, &config, &w.err), 0);
	assert_string_equal(mk_json_str(config, "kind", ""), "KubeletConfiguration");
	assert_string_equal(mk_json_str(config, "kubeReserved.cpu", ""), cpu);
	assert_string_equal(mk_json_str(config, "kubeReserved.memory", ""), memory);
}

static void test_version_2(void **state)
{
	(void)state;
	write_file("cpu.max", "50000 100000\n");
	write_file("memory.max", "104857600\n");
	run_script();
	assert_reserved(500, 104857600);
}

static void test_version_2_without_limits(void **state)
{
	(void)state;
	write_file("cpu.max", "max 100000\n");
	write_file("memory.max", "max\n");
	run_script();
	assert_reserved(-1, -1);
}

static void test_version_1(void **state)
{
	(void)state;
	write_file("cpu/cpu.cfs_quota_us", "25000\n");
	write_file("cpu/cpu.cfs_period_us", "100000\n");
	write_file("memory/memory.limit_in_bytes", "209715200\n");
	run_script();
	assert_reserved(250, 209715200);
}

static void test_version_1_without_limits(void **state)
{
	(void)state;
	write_file("cpu/cpu.cfs_quota_us", "-1\n");
	write_file("cpu/cpu.cfs_period_us", "100000\n");
	write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
	run_script();
	assert_reserved(-1, -1);
}

/* A limit of more than there is: a host that has become smaller. */
static void test_smaller_host(void **state)
{
	(void)state;
	write_file("cpu.max", "99900000 100000\n");
	write_file("memory.max", "1125899906842624\n");
	run_script();
	assert_reserved(-1, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_version_2),
		TEST(test_version_2_without_limits),
		TEST(test_version_1),
		TEST(test_version_1_without_limits),
		TEST(test_smaller_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
