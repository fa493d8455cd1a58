// SPDX-License-Identifier: Apache-2.0

package main

import "os"

// defaults hold where a variable is unset. They are the values of the
// published OpenFaaS manifests, and authentication has to be turned off
// rather than on.
var defaults = map[string]string{
	"port":               "8081",
	"function_namespace": "openfaas-fn",
	"basic_auth":         "true",
	"secret_mount_path":  "/var/secrets",
	"read_timeout":       "65s",
	"write_timeout":      "65s",
}

// environment reads variables of the process. It has the form the SDK wants
// for its own configuration.
type environment struct{}

// Getenv returns the variable, or its default where it is unset or empty.
func (environment) Getenv(key string) string {
	if value := os.Getenv(key); value != "" {
		return value
	}
	return defaults[key]
}
