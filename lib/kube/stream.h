/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows between us and a pod: commands in it, its logs, connections to its
 * ports. Commands and connections are WebSockets with several channels in one,
 * each message beginning with its channel's number: v5.channel.k8s.io (or v4)
 * for exec, v4.channel.k8s.io for port-forward
 * (https://kubernetes.io/docs/reference/using-api/websocket-protocols/).
 *
 * Every wait ends at its deadline (mk_deadline; -1 is for ever) with MK_ETIMEOUT,
 * and notices an interrupt within 100 ms. What the server refuses comes as
 * MK_ENOTFOUND or MK_EREMOTE with its own words.
 */
#ifndef MK_KUBE_STREAM_H
#define MK_KUBE_STREAM_H

#include "lib/kube/client.h"

/** Which pod, and which of its containers (NULL: its only one, or the default). */
struct mk_pod {
	const char *namespace;
	const char *name;
	const char *container;
};

enum mk_stream {
	MK_STREAM_OUT = 1,
	MK_STREAM_ERR = 2,
};

/** Told what a command or a pod has printed, in pieces as they come. Returns 0 to
 * go on, 1 to end the stream in good order, -code to end it with `err`. */
typedef int (*mk_stream_sink)(
	void *payload, enum mk_stream stream, const void *data, size_t len, struct mk_error *err);

struct mk_exec {
	const char *const *argv; /* ends with NULL; run without a shell */
	bool interactive;        /* pass on `input`; its end is the end of the command's stdin */
	int input;               /* a descriptor, read as it becomes readable */
	bool tty;                /* stdout and stderr are then one stream */
	mk_stream_sink sink;
	void *payload;

	/* With a tty: fill in the terminal's size when it is another than at the
	 * last call. Asked at least ten times a second. May be NULL. */
	bool (*resized)(void *payload, unsigned *columns, unsigned *rows);
};

/**
 * Run a command in a pod until it ends. `*ret_status` is its exit status; a
 * command that could not be run at all is MK_EREMOTE. When the sink has enough,
 * or at the deadline, the connection is given up, and the command with it if it
 * reads or writes; `*ret_status` is then -1.
 */
int mk_kube_exec(struct mk_kube *kube, const struct mk_pod *pod, const struct mk_exec *exec,
	int64_t deadline, int *ret_status, struct mk_error *err) MK_CHECKED;

struct mk_logs {
	bool follow;         /* go on with what is printed from now on, until the pod ends */
	bool previous;       /* of the container's last life */
	bool timestamps;     /* before each line, RFC 3339 */
	int64_t tail;        /* only so many last lines; 0: all */
	int64_t limit_bytes; /* 0: all */
};

/** Give a container's log to the sink, all of it as MK_STREAM_OUT. */
int mk_kube_logs(struct mk_kube *kube, const struct mk_pod *pod, const struct mk_logs *logs,
	int64_t deadline, mk_stream_sink sink, void *payload, struct mk_error *err) MK_CHECKED;

/** One connection to a port of a pod. */
struct mk_forward;

/** Connect. That nobody listens on the port shows only when it is read. */
int mk_forward_open(struct mk_kube *kube, const struct mk_pod *pod, unsigned port, int64_t deadline,
	struct mk_forward **ret, struct mk_error *err) MK_CHECKED;

/** Queue bytes for the port; they go out during reads. MK_EINVALID when more than
 * MK_MAX_WS_PENDING would wait: read on until mk_forward_pending says less. */
int mk_forward_send(
	struct mk_forward *forward, const void *data, size_t len, struct mk_error *err) MK_CHECKED;
size_t mk_forward_pending(const struct mk_forward *forward);

/** Read up to `cap` bytes: the count, 0 at the connection's end, MK_EREMOTE with
 * the kubelet's words when it could not connect. */
ssize_t mk_forward_read(struct mk_forward *forward, void *data, size_t cap, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/** For a poll of the caller's own, as mk_ws_fd. */
int mk_forward_fd(const struct mk_forward *forward);
void mk_forward_free(struct mk_forward *forward);
MK_DEFINE_CLEANUP(struct mk_forward *, mk_forward_free);

#endif
