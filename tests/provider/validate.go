// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"

	"github.com/openfaas/faas-provider/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxReplicas is the limit of the edition this provider stands in for.
const maxReplicas = 5

const (
	minScaleLabel = "com.openfaas.scale.min"
	maxScaleLabel = "com.openfaas.scale.max"
)

// refusedLabels are what the edition does not offer. Taking them silently
// would let a test pass here that fails with the genuine provider.
var refusedLabels = []string{
	"com.openfaas.scale.target",
	"com.openfaas.scale.type",
	"com.openfaas.scale.zero-duration",
}

// validateFunction checks what Kubernetes would not, or would refuse with a
// message that means little to the author of a function.
func validateFunction(function *types.FunctionDeployment) error {
	if function.Service == "" {
		return badRequest("validation failed: service: is required")
	}
	if err := validateName(function.Service); err != nil {
		return err
	}
	if function.Image == "" {
		return badRequest("validation failed: image: is required")
	}
	return validateScaling(labelsOf(function))
}

func validateName(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return badRequest("validation failed: service: (%s) is invalid: %s", name, strings.Join(problems, "; "))
	}
	return nil
}

func validateScaling(labels map[string]string) error {
	for _, label := range refusedLabels {
		if _, ok := labels[label]; ok {
			return badRequest("validation failed: %s is not available", label)
		}
	}
	if labels["com.openfaas.scale.zero"] == "true" {
		return badRequest("validation failed: com.openfaas.scale.zero is not available")
	}
	for _, label := range []string{minScaleLabel, maxScaleLabel} {
		if count, err := strconv.Atoi(labels[label]); err == nil && count > maxReplicas {
			return badRequest("validation failed: %s is larger than %d", label, maxReplicas)
		}
	}
	return nil
}

// labelsOf returns the labels of a request, which may have none.
func labelsOf(function *types.FunctionDeployment) map[string]string {
	if function.Labels == nil {
		return nil
	}
	return *function.Labels
}
