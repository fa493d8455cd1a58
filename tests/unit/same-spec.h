/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of config files share: two specs member by member, not by their text. */
#ifndef MK_TESTS_SAME_SPEC_H
#define MK_TESTS_SAME_SPEC_H

#include "lib/cluster/spec.h"

/** Fail unless both are the same in everything. */
void assert_same_spec(const struct mk_cluster_spec *a, const struct mk_cluster_spec *b);

#endif
