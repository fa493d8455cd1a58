/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster's config file of any contents: mistakes are listed, the rest is kept. */
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/cluster/spec.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autoclose int fd = memfd_create("fuzz", MFD_CLOEXEC);
	mk_autospec spec = mk_cluster_spec_init();
	mk_autofree char *path = mk_xasprintf("/proc/self/fd/%d", fd);
	mk_autoerror err = { .code = MK_OK };

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (mk_cluster_spec_load(&spec, path, &err) < 0)
		MUST(err.code == MK_EUSAGE && err.message);
	else if (mk_cluster_spec_check(&spec, &err) < 0)
		MUST(err.code == MK_EUSAGE && err.message);
	/* Whatever happened, the spec is whole. */
	MUST(spec.name && spec.image && spec.pod_subnet && spec.service_subnet);
	MUST(spec.api_address && json_is_object(spec.images));
	MUST(spec.api_port >= 0 && spec.api_port <= 65535);
	return 0;
}
