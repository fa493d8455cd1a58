/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the strings of a config file may be: one function a kind of string, made
 * for struct mk_field's `check` and `check_key`. 0, or MK_EUSAGE with what is
 * wrong. Private to lib/cluster.
 */
#ifndef MK_CLUSTER_CONFIG_SYNTAX_H
#define MK_CLUSTER_CONFIG_SYNTAX_H

#include "lib/base/error.h"

/** The name of a node image. Not kind's own, which need what we do not have. */
int mk_check_image(const char *value, struct mk_error *err) MK_CHECKED;
/** An IPv4 address. */
int mk_check_address(const char *value, struct mk_error *err) MK_CHECKED;
/** An IPv4 range. */
int mk_check_cidr(const char *value, struct mk_error *err) MK_CHECKED;
/** A name or address for a certificate. */
int mk_check_san(const char *value, struct mk_error *err) MK_CHECKED;
/** A time between two snapshots: "30m", "6h", "1d". */
int mk_check_interval(const char *value, struct mk_error *err) MK_CHECKED;
/** A domain to look names up in. */
int mk_check_domain(const char *value, struct mk_error *err) MK_CHECKED;
/** ipv4: what else there is, there is not yet. */
int mk_check_ip_family(const char *value, struct mk_error *err) MK_CHECKED;
/** Not ipvs, for which there is a reason. */
int mk_check_proxy_mode(const char *value, struct mk_error *err) MK_CHECKED;
/** CPUs of a node, enough to start. */
int mk_check_cpus(const char *value, struct mk_error *err) MK_CHECKED;
/** Memory of a node, enough to start. */
int mk_check_memory(const char *value, struct mk_error *err) MK_CHECKED;

/** How long a certificate is valid, a Go duration: a minute to a hundred years. */
int mk_check_validity(const char *value, struct mk_error *err) MK_CHECKED;

/** A qualified name, "example.com/key": of labels and taints
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/). */
int mk_check_qualified_name(const char *value, struct mk_error *err) MK_CHECKED;
/** The value of a label or taint. */
int mk_check_label_value(const char *value, struct mk_error *err) MK_CHECKED;
/**
 * The key of a label that a kubelet may give its own node
 * (https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction).
 */
int mk_check_node_label(const char *value, struct mk_error *err) MK_CHECKED;

/** The host of a registry, with or without a port, or "*". */
int mk_check_registry(const char *value, struct mk_error *err) MK_CHECKED;
/** The URL of a mirror. */
int mk_check_mirror(const char *value, struct mk_error *err) MK_CHECKED;
/** A change to containerd's configuration: its version, for TOML is not read here. */
int mk_check_containerd_patch(const char *value, struct mk_error *err) MK_CHECKED;

/** The role of a pod image that can be replaced. */
int mk_check_image_role(const char *value, struct mk_error *err) MK_CHECKED;
/** The name of a pod image. */
int mk_check_pod_image(const char *value, struct mk_error *err) MK_CHECKED;
/** The name of a feature gate. */
int mk_check_gate(const char *value, struct mk_error *err) MK_CHECKED;
/** A group and version of the API, or api/all, api/beta ... */
int mk_check_api(const char *value, struct mk_error *err) MK_CHECKED;
/** "true" or "false". */
int mk_check_switch(const char *value, struct mk_error *err) MK_CHECKED;
/** A path on the host. */
int mk_check_host_path(const char *value, struct mk_error *err) MK_CHECKED;
/** A place in a node where something can be mounted without breaking the node. */
int mk_check_container_path(const char *value, struct mk_error *err) MK_CHECKED;

#endif
