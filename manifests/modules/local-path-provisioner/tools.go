// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names the commands that are built from this module, so that
// go.sum locks what they need.
package tools

import (
	_ "github.com/rancher/local-path-provisioner"
)
