/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cap on what a peer or a file may make us hold in memory, and every
 * deadline, in one place.
 */
#ifndef MK_BASE_LIMITS_H
#define MK_BASE_LIMITS_H

#define MK_MIB ((size_t)1024 * 1024)

#define MK_MAX_CONFIG_FILE (1 * MK_MIB)     /* a config file or kubeconfig */
#define MK_MAX_HTTP_BODY (16 * MK_MIB)      /* an answer that is kept whole */
#define MK_MAX_HTTP_HEADERS ((size_t)65536) /* all response headers together */
#define MK_MAX_WATCH_LINE (4 * MK_MIB)      /* one event of a Kubernetes watch */
#define MK_MAX_WS_MESSAGE (4 * MK_MIB)      /* one message of a WebSocket, fragments together */
#define MK_MAX_WS_PENDING (1 * MK_MIB)      /* what waits to be sent on a WebSocket */
#define MK_MAX_NODE_ARCHIVE (8 * MK_MIB)    /* the files put into one node */
#define MK_MAX_EXEC_OUTPUT (1 * MK_MIB)     /* what a command in a node prints */
#define MK_MAX_IMAGE_JSON (4 * MK_MIB)      /* an image manifest or config */
#define MK_MAX_MANIFEST (16 * MK_MIB)       /* a file of objects to apply */
#define MK_MAX_MANIFESTS (64 * MK_MIB)      /* and all of them together */
#define MK_MAX_OBJECTS ((size_t)10000)      /* objects in one apply, or files in a folder */
#define MK_MAX_YAML_DEPTH 64                /* nesting of a YAML document */
#define MK_MAX_YAML_NODES 200000            /* scalars and collections in one file */

#define MK_CONNECT_TIMEOUT_MS 5000
#define MK_ENGINE_TIMEOUT_MS 120000 /* one engine request, creation included */
#define MK_KUBE_TIMEOUT_MS 30000    /* one API request that is not a watch */

#endif
