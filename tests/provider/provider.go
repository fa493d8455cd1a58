// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"

	apiv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// functionLabel names the function on every object that belongs to one. What
// does not carry it is none of the provider's business.
const functionLabel = "faas_function"

// provider answers the system API of OpenFaaS for one namespace.
type provider struct {
	namespace   string
	deployments appsv1.DeploymentInterface
	services    corev1.ServiceInterface
	secrets     corev1.SecretInterface
	pods        corev1.PodInterface
	watch       *podWatch
}

func newProvider(namespace string, kube *kubeClients) *provider {
	pods := kube.core.Pods(namespace)
	return &provider{
		namespace:   namespace,
		deployments: kube.apps.Deployments(namespace),
		services:    kube.core.Services(namespace),
		secrets:     kube.core.Secrets(namespace),
		pods:        pods,
		watch:       newPodWatch(pods),
	}
}

// system makes an HTTP handler of a method that reports failure as an error.
// It bounds the request's body and refuses every namespace but the one served.
func (p *provider) system(next func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		err := p.checkNamespace(r.URL.Query().Get("namespace"))
		if err == nil {
			err = next(w, r)
		}
		if err != nil {
			writeError(w, r, err)
		}
	}
}

// checkNamespace accepts the functions' namespace and an empty name for it.
func (p *provider) checkNamespace(namespace string) error {
	if namespace != "" && namespace != p.namespace {
		return badRequest("namespace must be: %s", p.namespace)
	}
	return nil
}

// function returns the Deployment behind a function, and an error with status
// 404 for a Deployment that is not a function.
func (p *provider) function(ctx context.Context, name string) (*apiv1.Deployment, error) {
	if name == "" {
		return nil, badRequest("the name of the function is missing")
	}
	if validateName(name) != nil {
		return nil, noFunction(name)
	}
	deployment, err := p.deployments.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, noFunction(name)
	}
	if err != nil {
		return nil, err
	}
	if _, ok := deployment.Labels[functionLabel]; !ok {
		return nil, noFunction(name)
	}
	return deployment, nil
}

func noFunction(name string) error {
	return &httpError{http.StatusNotFound, "function not found: " + name}
}
