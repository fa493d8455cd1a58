/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amounts of CPU, memory and time as Kubernetes writes them
 * (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/),
 * without the exponents nobody types.
 */
#ifndef MK_CLUSTER_QUANTITY_H
#define MK_CLUSTER_QUANTITY_H

#include "lib/base/error.h"

#include <stdint.h>

/** CPUs, "2", "1.5" or "1500m", in billionths: 0.01 to 100000 CPUs. MK_EUSAGE. */
int mk_quantity_cpus(const char *text, int64_t *ret_nano, struct mk_error *err) MK_CHECKED;

/** Bytes, "2Gi", "1.5G", "1073741824": at most 2^62. MK_EUSAGE. */
int mk_quantity_bytes(const char *text, int64_t *ret, struct mk_error *err) MK_CHECKED;

/** A duration in Go's form (https://pkg.go.dev/time#ParseDuration), "8760h", "1h30m" or
 * "1.5h", in whole seconds, the rest cut off: 1 s to 292 years. MK_EUSAGE. */
int mk_quantity_seconds(const char *text, int64_t *ret, struct mk_error *err) MK_CHECKED;

#endif
