// SPDX-License-Identifier: Apache-2.0

// Command registry is CNCF Distribution's registry with the storage on local
// files alone: the clients of cloud object stores are two thirds of the full
// program, and a node has none.
package main

import (
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/proxy"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	// The error has been printed by cobra; upstream ignores it likewise.
	_ = registry.RootCmd.Execute()
}
