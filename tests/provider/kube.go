// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The gateway asks about every function it scales several times a second, so
// the limits of the client library (5 and 10) would be felt at once.
const (
	requestsPerSecond = 100
	requestsBurst     = 250
)

// kubeClients are the two API groups in use. The whole clientset would bring
// every other group of Kubernetes into the binary.
type kubeClients struct {
	apps appsv1.AppsV1Interface
	core corev1.CoreV1Interface
}

// newKubeClients uses the kubeconfig file, or the service account of the pod
// if the path is empty.
func newKubeClients(kubeconfig string) (*kubeClients, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cannot load the Kubernetes client configuration: %w", err)
	}
	config.QPS = requestsPerSecond
	config.Burst = requestsBurst
	config.UserAgent = providerName + "/" + version
	// Both clients share one connection and one rate limit.
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make the Kubernetes client: %w", err)
	}
	apps, err := appsv1.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot make the apps/v1 client: %w", err)
	}
	core, err := corev1.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot make the v1 client: %w", err)
	}
	return &kubeClients{apps: apps, core: core}, nil
}
