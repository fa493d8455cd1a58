/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node image: Debian with systemd, every program of the component table and
 * the images that pods run, already unpacked. It is made in a container, from
 * published releases or from Go modules, and committed; `create` reads from its
 * labels what it holds.
 */
#ifndef MK_NODEIMAGE_NODEIMAGE_H
#define MK_NODEIMAGE_NODEIMAGE_H

#include "lib/base/str.h"
#include "lib/docker/client.h"
#include "lib/nodeimage/components.h"

#define MK_NODEIMAGE_DEFAULT "mkcluster/node:v" MK_KUBERNETES_VERSION
#define MK_BASE_IMAGE_DEFAULT "debian:bookworm-slim"

/* Labels of a node image. A container made from it inherits them. */
#define MK_LABEL_IMAGE "io.mkcluster.image"           /* "1" */
#define MK_LABEL_KUBERNETES "io.mkcluster.kubernetes" /* "v1.36.3" */
#define MK_LABEL_INPUTS "io.mkcluster.inputs"         /* digest of what it was made from */
#define MK_LABEL_FROM "io.mkcluster.from"             /* "release" or "modules" */
#define MK_LABEL_PROVIDER "io.mkcluster.provider"     /* "faas-netes" or "stand-in" */
#define MK_LABEL_IMAGES "io.mkcluster.images"         /* JSON: role to reference */

/* On the containers of a running build, with its id as the value. */
#define MK_LABEL_BUILD "io.mkcluster.build"

enum mk_from {
	MK_FROM_AUTO, /* releases where they can be reached, else modules */
	MK_FROM_RELEASE,
	MK_FROM_MODULES,
};

enum mk_part_state {
	MK_PART_BEGIN,
	MK_PART_RUNNING,
	MK_PART_DONE,
};

/** Where a build is: one part at a time, some with news while they run. */
struct mk_nodeimage_status {
	enum mk_part_state state;
	const char *name; /* "kubernetes 1.36.3" */
	size_t index;     /* from 1 */
	size_t count;
	int64_t elapsed_ms;
	const char *text; /* RUNNING: how far */
	bool cached;      /* DONE: it was there already */
};
typedef void (*mk_nodeimage_progress)(void *payload, const struct mk_nodeimage_status *status);

struct mk_nodeimage_options {
	enum mk_from from;
	const char *mirror;             /* of releases: a URL or a folder, or NULL */
	const char *image;              /* its name; NULL is MK_NODEIMAGE_DEFAULT */
	const char *base_image;         /* NULL is MK_BASE_IMAGE_DEFAULT, bootstrapped if need be */
	const char *cache_dir;          /* NULL is mk_fs_cache_dir's */
	bool force;                     /* build even when nothing changed */
	mk_nodeimage_progress progress; /* or NULL */
	void *progress_payload;
};

struct mk_nodeimage_part {
	char *name;
	int64_t ms;
	bool cached;
};

struct mk_nodeimage_report {
	char *image;
	uint64_t size;
	enum mk_from from; /* never AUTO */
	char *reason;      /* why from there, one line */
	bool unchanged;    /* nothing was done */
	int64_t ms;
	struct mk_nodeimage_part *parts;
	size_t part_count;
	struct mk_strlist notes; /* what the user should know: licences, the stand-in */
};

void mk_nodeimage_report_done(struct mk_nodeimage_report *report);
#define mk_autoreport MK_CLEANUP(mk_nodeimage_report_done) struct mk_nodeimage_report

/** "release" or "modules". */
const char *mk_from_name(enum mk_from from);

/**
 * Make the node image, or find that it is made of the same inputs already. Takes
 * from a second to tens of minutes. Containers and files of a build that fails
 * or is interrupted are removed; what was downloaded or compiled stays in the
 * cache. MK_EHOST: a tool is missing; MK_EINTR; what lib/fetch and the engine
 * answer. Free `ret` with mk_nodeimage_report_done.
 */
int mk_nodeimage_build(struct mk_docker *docker, const struct mk_nodeimage_options *options,
	struct mk_nodeimage_report *ret, struct mk_error *err) MK_CHECKED;

/**
 * Put programs of the table ("kubectl", "faas-cli", or a component's name for
 * all of its programs) into `out_dir`, for this machine's architecture. Needs no
 * engine. MK_EUSAGE for an unknown name.
 */
int mk_nodeimage_build_programs(const struct mk_strlist *names, const char *out_dir,
	const struct mk_nodeimage_options *options, struct mk_nodeimage_report *ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Where below a mirror's root the docker-save archive of an image stands, beside
 * its .sha256: "images/ghcr.io/openfaas/gateway/0.27.3-amd64.tar". Caller frees.
 */
char *mk_mirror_image_path(const char *reference, const char *arch);

#endif
