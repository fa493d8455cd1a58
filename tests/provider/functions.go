// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"

	"github.com/gorilla/mux"
	"github.com/openfaas/faas-provider/types"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// listFunctions answers with all functions.
func (p *provider) listFunctions(w http.ResponseWriter, r *http.Request) error {
	list, err := p.deployments.List(r.Context(), metav1.ListOptions{LabelSelector: functionLabel})
	if err != nil {
		return fmt.Errorf("unable to list functions: %w", err)
	}
	// An empty list has to be "[]" in JSON, which a nil slice is not.
	functions := make([]types.FunctionStatus, 0, len(list.Items))
	for i := range list.Items {
		functions = append(functions, reportFunction(&list.Items[i]))
	}
	return writeJSON(w, functions)
}

// functionStatus answers with one function. The gateway asks for it before a
// call and while it waits for a function to scale up.
func (p *provider) functionStatus(w http.ResponseWriter, r *http.Request) error {
	deployment, err := p.function(r.Context(), mux.Vars(r)["name"])
	if err != nil {
		return err
	}
	return writeJSON(w, reportFunction(deployment))
}

// reportFunction tells of a Deployment what the API of OpenFaaS knows.
func reportFunction(deployment *appsv1.Deployment) types.FunctionStatus {
	template := &deployment.Spec.Template
	status := types.FunctionStatus{
		Name:              deployment.Name,
		Namespace:         deployment.Namespace,
		Labels:            &template.Labels,
		Annotations:       &template.Annotations,
		Secrets:           mountedSecrets(&template.Spec),
		Replicas:          wantedReplicas(deployment),
		AvailableReplicas: uint64(deployment.Status.AvailableReplicas),
		CreatedAt:         deployment.CreationTimestamp.Time,
	}
	// The label that makes a function may be on a Deployment of any shape.
	if len(template.Spec.Containers) > 0 {
		reportContainer(&status, deployment)
	}
	return status
}

func reportContainer(status *types.FunctionStatus, deployment *appsv1.Deployment) {
	container := &deployment.Spec.Template.Spec.Containers[0]
	status.Image = container.Image
	status.Limits = reportResources(container.Resources.Limits)
	status.Requests = reportResources(container.Resources.Requests)
	for _, variable := range container.Env {
		if variable.Name == processVariable {
			status.EnvProcess = variable.Value
		}
	}
}

func wantedReplicas(deployment *appsv1.Deployment) uint64 {
	// Kubernetes takes a Deployment that does not say for one replica.
	if deployment.Spec.Replicas == nil {
		return 1
	}
	return uint64(*deployment.Spec.Replicas)
}

// scale sets the number of replicas. None is a number too: the gateway scales
// the function up again at the next call.
func (p *provider) scale(w http.ResponseWriter, r *http.Request) error {
	var request types.ScaleServiceRequest
	if err := readJSON(r, &request); err != nil {
		return err
	}
	if err := p.checkNamespace(request.Namespace); err != nil {
		return err
	}
	replicas := int32(min(request.Replicas, maxReplicas))
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		deployment, err := p.function(r.Context(), mux.Vars(r)["name"])
		if err != nil {
			return err
		}
		deployment.Spec.Replicas = &replicas
		_, err = p.deployments.Update(r.Context(), deployment, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("unable to scale: %w", err)
	}
	return accepted(w)
}
