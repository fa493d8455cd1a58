/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/kube: what the streams to a pod share. */
#ifndef MK_KUBE_POD_SOCKET_H
#define MK_KUBE_POD_SOCKET_H

#include "lib/http/websocket.h"
#include "lib/kube/stream.h"

/** "/api/v1/namespaces/NS/pods/NAME/SUBRESOURCE", percent-encoded. Caller frees. */
char *mk_pod_path(const struct mk_pod *pod, const char *subresource);

/** Append "?name=value", or "&name=value" when there is a query already. */
void mk_query_add(struct mk_buf *query, const char *name, const char *value);

/** Open a WebSocket; a refusal becomes an error as in mk_kube_call. */
int mk_pod_socket(struct mk_kube *kube, const char *path, const char *protocols, int64_t deadline,
	struct mk_ws **ret, struct mk_error *err) MK_CHECKED;

#endif
