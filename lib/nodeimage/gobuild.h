/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a component with the Go toolchain. The embedded module folder is
 * written below the cache, `go build` runs there with the environment that the
 * user has (GOPROXY, GOCACHE), and the result is kept under a key of all that
 * went into it, so that the next run finds it:
 *
 *	CACHE/modules/etcd/src-SOURCE/   go.mod, go.sum, tools.go
 *	CACHE/modules/etcd/KEY/          etcdctl, etcdutl, server
 */
#ifndef MK_NODEIMAGE_GOBUILD_H
#define MK_NODEIMAGE_GOBUILD_H

#include "lib/nodeimage/components.h"

/** Told how far a build is: "312 of at most 2104 packages". */
typedef void (*mk_say)(void *payload, const char *text);

struct mk_go {
	const char *cache_dir;
	const char *arch; /* "amd64" */
	char *version;    /* "go1.26.8" */
	mk_say say;       /* or NULL */
	void *payload;
};

/** Find the toolchain. MK_EHOST with a hint when there is none or it is too
 * old. End with mk_go_done. The strings stay the caller's. */
int mk_go_init(struct mk_go *ret, const char *cache_dir, const char *arch, mk_say say,
	void *payload, struct mk_error *err) MK_CHECKED;
void mk_go_done(struct mk_go *go);

/**
 * The folder with the component's programs, built when it is not in the cache
 * (`ret_cached` says which). Takes from seconds to many minutes. MK_EFAIL with
 * the compiler's last lines as detail; MK_EINTR. Caller frees `ret_dir`.
 */
int mk_go_build(const struct mk_go *go, const struct mk_component *component, char **ret_dir,
	bool *ret_cached, struct mk_error *err) MK_CHECKED;

#endif
