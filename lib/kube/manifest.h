/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of Kubernetes objects, as people write them for `kubectl apply -f`: read, split
 * into objects and checked as far as that goes without a server. Where the bytes come
 * from is not this file's matter: whoever has a path and its bytes, of a folder or of
 * a commit, hands them to mk_manifests_take.
 */
#ifndef MK_KUBE_MANIFEST_H
#define MK_KUBE_MANIFEST_H

#include "lib/base/json.h"
#include "lib/base/str.h"

/** The objects of all files, in order, and the place of each. */
struct mk_manifests {
	json_t *objects;            /* an array */
	struct mk_strlist where;    /* of each: "FILE:LINE:COLUMN" */
	struct mk_strlist mistakes; /* each with its place */
	size_t bytes, files;
};

/** No objects yet. Free with mk_manifests_done. */
struct mk_manifests mk_manifests_init(void);
void mk_manifests_done(struct mk_manifests *manifests);
#define mk_automanifests MK_CLEANUP(mk_manifests_done) struct mk_manifests

/** Whoever takes the bytes of a file; `payload` of mk_manifests_take is the manifests. */
typedef int (*mk_manifest_taker)(
	void *payload, const char *path, const char *data, size_t len, struct mk_error *err);

/**
 * Add a file's objects: of several documents, YAML or JSON, lists taken apart, empty
 * documents left out. Mistakes are kept, for mk_manifests_check to tell all of them at
 * once. Fails (MK_EUSAGE) only when there is too much of everything.
 */
int mk_manifests_take(void *payload, const char *path, const char *data, size_t len,
	struct mk_error *err) MK_CHECKED;

/** After the last file: MK_EUSAGE with the first mistake, and the others as detail; also
 * when there is no object at all. */
int mk_manifests_check(const struct mk_manifests *manifests, struct mk_error *err) MK_CHECKED;

/**
 * Hand over a file, stdin ("-"), or the *.yaml, *.yml and *.json files of a folder, sorted
 * by name; with `recursive` those of its folders too, but not through links. MK_EUSAGE when
 * there is none.
 */
int mk_manifests_read(const char *path, bool recursive, mk_manifest_taker take, void *payload,
	struct mk_error *err) MK_CHECKED;

/** Whether a name may be a part of an API path
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names). */
bool mk_manifest_name_ok(const char *name);

#endif
