// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// functionPort is where every function listens.
const functionPort = 8080

// resolver finds the address to which a call of a function goes. It is the
// part of the proxy that the SDK leaves to the provider.
type resolver struct {
	namespace string
	watch     *podWatch
	calls     atomic.Uint64
}

// Resolve takes "name" or "name.namespace" and returns the address of a ready
// replica, another one at each call.
func (r *resolver) Resolve(name string) (url.URL, error) {
	function, namespace, qualified := strings.Cut(name, ".")
	if qualified && namespace != r.namespace {
		return url.URL{}, fmt.Errorf("namespace must be: %s", r.namespace)
	}
	addresses := r.ready(function)
	if len(addresses) == 0 {
		return url.URL{}, fmt.Errorf("function %s has no replica that is ready", function)
	}
	turn := r.calls.Add(1) % uint64(len(addresses))
	host := net.JoinHostPort(addresses[turn], strconv.Itoa(functionPort))
	return url.URL{Scheme: "http", Host: host}, nil
}

func (r *resolver) ready(function string) []string {
	var addresses []string
	for _, pod := range r.watch.of(function) {
		if isReady(pod) {
			addresses = append(addresses, pod.Status.PodIP)
		}
	}
	return addresses
}
