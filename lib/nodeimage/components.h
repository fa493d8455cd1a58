/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of everything that goes into a node image: what it is, under
 * which licence, where its release lies and by what it is checked, and how the
 * same thing is built from Go modules.
 *
 * Texts may hold ${VERSION}, ${ARCH} (amd64, arm64), ${ARCH_SUFFIX} (nothing for
 * amd64, "-arm64") and, in what builds from modules, ${MODULE_VERSION}.
 */
#ifndef MK_NODEIMAGE_COMPONENTS_H
#define MK_NODEIMAGE_COMPONENTS_H

#include "lib/base/str.h"

#define MK_KUBERNETES_VERSION "1.36.3"

/** A file taken from a release and where it stands in a node. */
struct mk_member {
	const char *name; /* inside the archive; NULL: the release file is the program */
	const char *path;
};

#define MK_MAX_MEMBERS 6

/** One file of a release. */
struct mk_release_file {
	const char *url;
	const char *checksum_url;
	struct mk_member members[MK_MAX_MEMBERS]; /* up to the first without a path */
};

/** A program as `go build` names it, where it goes, and by what other names it
 * is called there ("kubelet": a link beside it). */
struct mk_built {
	const char *name;
	const char *path;
	const char *const *links; /* ends with NULL, or NULL */
};

/** How a component is built from Go modules. */
struct mk_gobuild {
	const char *folder;          /* of the embedded files: "modules/etcd" */
	const char *const *packages; /* ends with NULL */
	const char *tags;            /* or NULL */
	const char *ldflags;         /* or NULL */
	bool cgo;
	struct mk_built outputs[MK_MAX_MEMBERS]; /* up to the first without a name */
	const char *tree_module; /* a folder of a module that belongs to the program: */
	const char *tree;        /* "assets"; or NULL */
};

/** The image that a pod runs. */
struct mk_podimage {
	const char *role;            /* "gateway": the key in the node image's label */
	const char *reference;       /* upstream's, whole: "docker.io/library/x:1" */
	const char *local;           /* ours, when its program was built from modules */
	const char *const *command;  /* of ours; ends with NULL */
	const char *user;            /* of ours */
	const char *os_file;         /* ours is made of this file of the OS layer, or NULL */
	const char *const *os_links; /* its further names in ours; ends with NULL, or NULL */
};

struct mk_component {
	const char *name;
	const char *version;
	const char *module_version; /* what the modules build is, when that differs */
	const char *license;
	const char *note;                    /* said when it is built from modules, or NULL */
	const struct mk_release_file *files; /* ends with one without url; NULL for images */
	const struct mk_gobuild *build;      /* NULL when it comes with the OS layer */
	const struct mk_podimage *image;     /* NULL for what runs in the node itself */
	bool host_only;                      /* a user's tool, not a part of the node */
};

extern const struct mk_component mk_components[];
extern const size_t mk_component_count;

/** Debian's packages in the operating-system layer; ends with NULL. */
extern const char *const mk_os_packages[];

/** The component of this name, or the one that has a program of this name
 * ("kubectl"), or NULL. */
const struct mk_component *mk_component_find(const char *name);

/** The version of what the modules path builds. */
const char *mk_component_module_version(const struct mk_component *component);

/** Fill in a text of the table for an architecture. Caller frees. */
int mk_component_render(const struct mk_component *component, const char *text, const char *arch,
	char **ret, struct mk_error *err) MK_CHECKED;

/** The digest of everything the table and the embedded files say about building
 * a component from modules for `arch`. Caller frees. */
int mk_component_digest(const struct mk_component *component, const char *arch, char **ret,
	struct mk_error *err) MK_CHECKED;

#endif
