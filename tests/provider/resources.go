// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/openfaas/faas-provider/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// newResources reads the limits and requests of a function.
func newResources(function *types.FunctionDeployment) (*corev1.ResourceRequirements, error) {
	limits, err := quantities("limits", function.Limits)
	if err != nil {
		return nil, err
	}
	requests, err := quantities("requests", function.Requests)
	if err != nil {
		return nil, err
	}
	return &corev1.ResourceRequirements{Limits: limits, Requests: requests}, nil
}

func quantities(kind string, resources *types.FunctionResources) (corev1.ResourceList, error) {
	if resources == nil {
		return nil, nil
	}
	list := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{
		corev1.ResourceMemory: resources.Memory,
		corev1.ResourceCPU:    resources.CPU,
	} {
		if text == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, badRequest("%s: %s: %q is not a quantity", kind, name, text)
		}
		list[name] = quantity
	}
	return list, nil
}

// reportResources is the inverse of quantities.
func reportResources(list corev1.ResourceList) *types.FunctionResources {
	if len(list) == 0 {
		return nil
	}
	return &types.FunctionResources{Memory: list.Memory().String(), CPU: list.Cpu().String()}
}
