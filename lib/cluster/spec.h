/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user wants: the cluster's specification, from defaults, a config
 * file and flags, in that order. Checked as a whole before anything is made.
 */
#ifndef MK_CLUSTER_SPEC_H
#define MK_CLUSTER_SPEC_H

#include "lib/base/json.h"
#include "lib/base/str.h"

#define MK_DEFAULT_NAME "mkcluster"
#define MK_DEFAULT_IMAGE "mkcluster/node:v1.36.3"
#define MK_GATEWAY_PORT 31112 /* the NodePort upstream's manifests choose */
#define MK_REGISTRY_PORT 5001
#define MK_API_PORT 6443
#define MK_MAX_CONTROL_PLANES 9
#define MK_MAX_WORKERS 200

enum mk_profile {
	MK_PROFILE_AUTO,       /* try both */
	MK_PROFILE_PRIVILEGED, /* --privileged */
	MK_PROFILE_RESTRICTED, /* all capabilities but CAP_SYS_RESOURCE */
};

struct mk_cluster_spec {
	char *name;
	char *image;
	json_t *images;         /* role -> image name, replacing the node image's */
	int64_t control_planes; /* odd */
	int64_t workers;
	bool openfaas;
	bool unsafe_etcd; /* no fsync: for clusters that are thrown away */
	enum mk_profile profile;
	char *pod_subnet;
	char *service_subnet;
	char *api_address; /* of the host: where ports are published */
	int64_t api_port;  /* 0: any free one */
	int64_t gateway_port;
	int64_t registry_port; /* of the host */
	struct mk_strlist api_sans;
};

/** The defaults. Release with mk_cluster_spec_done. */
struct mk_cluster_spec mk_cluster_spec_init(void);
void mk_cluster_spec_done(struct mk_cluster_spec *spec);
#define mk_autospec MK_CLEANUP(mk_cluster_spec_done) struct mk_cluster_spec

/**
 * Read a config file ("-" is standard input) over what the spec holds: kind
 * Cluster, apiVersion mkcluster.dev/v1. MK_EUSAGE lists every mistake with
 * file:line:column.
 */
int mk_cluster_spec_load(
	struct mk_cluster_spec *spec, const char *path, struct mk_error *err) MK_CHECKED;

/** Check the whole: names, addresses, ranges, overlaps. MK_EUSAGE. */
int mk_cluster_spec_check(const struct mk_cluster_spec *spec, struct mk_error *err) MK_CHECKED;

/** A name that can be a container's, a host's and a kubeconfig's: MK_EUSAGE. */
int mk_cluster_name_check(const char *name, struct mk_error *err) MK_CHECKED;

/** An IPv4 range, "10.244.0.0/16", as numbers in host order. */
struct mk_cidr {
	uint32_t address;
	unsigned bits;
};

/** Parse a range whose host bits are zero. MK_EUSAGE. */
int mk_cidr_parse(const char *text, struct mk_cidr *ret, struct mk_error *err) MK_CHECKED;
bool mk_cidr_overlap(const struct mk_cidr *a, const struct mk_cidr *b);

/** The `n`th address of the range as text. Caller frees. */
char *mk_cidr_address(const struct mk_cidr *range, uint32_t n);
char *mk_cidr_print(const struct mk_cidr *range);

#endif
