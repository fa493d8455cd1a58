/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster's config file of any contents, in either format: mistakes are listed,
 * the rest is kept, and what is accepted can be printed and reads back the same.
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/cluster/spec.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static void print_and_reread(const struct mk_cluster_spec *spec)
{
	mk_autospec again = mk_cluster_spec_init();
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE), twice = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoerror err = { .code = MK_OK };

	MUST(mk_cluster_spec_print(spec, &text, &err) == 0);
	if (mk_cluster_spec_parse(&again, text.data, text.len, "again", &err) < 0)
		(void)fprintf(stderr, "%s\n---\n%s\n", err.message, text.data);
	MUST(err.code == MK_OK);
	MUST(mk_cluster_spec_print(&again, &twice, &err) == 0);
	MUST(text.len == twice.len && memcmp(text.data, twice.data, text.len) == 0);
	MUST(again.node_count == spec->node_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autoclose int fd = memfd_create("fuzz", MFD_CLOEXEC);
	mk_autospec spec = mk_cluster_spec_init();
	mk_autofree char *path = mk_xasprintf("/proc/self/fd/%d", fd);
	mk_autoerror err = { .code = MK_OK };
	int r;

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	r = mk_cluster_spec_load(&spec, path, &err);
	MUST(r == 0 || (r == -MK_EUSAGE && err.code == MK_EUSAGE && err.message));
	/* Whatever happened, the spec is whole. */
	MUST(spec.name && spec.image && spec.pod_subnet && spec.service_subnet);
	MUST(spec.api_address && json_is_object(spec.images));
	MUST(spec.api_port >= 0 && spec.api_port <= 65535);
	if (r < 0)
		return 0;
	MUST(mk_cluster_spec_check(&spec, &err) == 0);
	print_and_reread(&spec);
	mk_cluster_spec_settle(&spec);
	MUST(spec.node_count == (size_t)(spec.control_planes + spec.workers));
	print_and_reread(&spec);
	return 0;
}
