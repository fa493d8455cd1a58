// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/openfaas/faas-provider/types"
)

// providerName differs from the genuine one's, so that nobody who asks takes
// this provider for it.
const providerName = "mkcluster-provider"

// version is set at build time with -ldflags "-X main.version=...".
var version = "dev"

func (p *provider) info(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, types.ProviderInfo{
		Name:          providerName,
		Orchestration: "kubernetes",
		Version:       &types.VersionInfo{Release: version},
	})
}

func (p *provider) listNamespaces(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, []string{p.namespace})
}

// health fails until the pods are known, since no function can be called
// before that.
func (p *provider) health(w http.ResponseWriter, _ *http.Request) {
	if !p.watch.synced() {
		http.Error(w, "the pods of the functions are not known yet", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}
