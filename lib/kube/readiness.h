/* SPDX-License-Identifier: Apache-2.0 */
/* When an object is what it is to be, by its status. Private to lib/kube. */
#ifndef MK_KUBE_READINESS_H
#define MK_KUBE_READINESS_H

#include "lib/base/json.h"

enum mk_readiness {
	MK_READY,
	MK_NOT_YET,
	MK_NEVER, /* it says itself that it has failed */
};

/** Whether anybody waits for this kind: Deployments, DaemonSets, StatefulSets, Jobs, Pods,
 * CRDs, APIServices. */
bool mk_readiness_known(const json_t *object);

/** How it stands with an object of such a kind. */
enum mk_readiness mk_readiness_of(const json_t *object);

/** "0 of 2 available", and its conditions that speak of trouble. Caller frees. */
char *mk_readiness_text(const json_t *object);

/** What keeps a pod from running, or NULL: "ImagePullBackOff: ...". Caller frees. */
char *mk_readiness_of_pod(const json_t *pod);

#endif
