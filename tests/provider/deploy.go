// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/openfaas/faas-provider/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// revisionLabel changes with every update, so that an update without any
// change still starts new pods: they pull the image again.
const revisionLabel = "uid"

// deploy creates a function.
func (p *provider) deploy(w http.ResponseWriter, r *http.Request) error {
	deployment, service, err := p.readFunction(r)
	if err != nil {
		return err
	}
	if _, err := p.deployments.Create(r.Context(), deployment, metav1.CreateOptions{}); err != nil {
		return createError(err)
	}
	if _, err := p.services.Create(r.Context(), service, metav1.CreateOptions{}); err != nil {
		p.takeBack(r.Context(), deployment.Name)
		return fmt.Errorf("unable to create Service: %w", err)
	}
	return accepted(w)
}

// createError gives the error of a Deployment that exists the status with
// which faas-netes answers; clients tell it by the message.
func createError(err error) error {
	err = fmt.Errorf("unable to create Deployment: %w", err)
	if apierrors.IsAlreadyExists(err) {
		return &httpError{http.StatusInternalServerError, err.Error()}
	}
	return err
}

// takeBack removes the first half of a function whose second half failed;
// otherwise the next attempt would find the function existing.
func (p *provider) takeBack(ctx context.Context, name string) {
	if err := p.deployments.Delete(ctx, name, inBackground()); err != nil {
		log.Printf("cannot remove the Deployment %s, which has no Service: %v", name, err)
	}
}

// update replaces a function and lets the cluster roll it out.
func (p *provider) update(w http.ResponseWriter, r *http.Request) error {
	deployment, service, err := p.readFunction(r)
	if err != nil {
		return err
	}
	deployment.Spec.Template.Labels[revisionLabel] = strconv.FormatInt(time.Now().UnixNano(), 10)
	if err := p.updateDeployment(r.Context(), deployment); err != nil {
		return err
	}
	if err := p.updateService(r.Context(), service); err != nil {
		return fmt.Errorf("unable to update Service: %w", err)
	}
	return accepted(w)
}

func (p *provider) updateDeployment(ctx context.Context, wanted *appsv1.Deployment) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := p.function(ctx, wanted.Name)
		if err != nil {
			return err
		}
		if _, ok := minReplicas(wanted.Spec.Template.Labels); ok {
			current.Spec.Replicas = wanted.Spec.Replicas
		}
		current.Annotations = wanted.Annotations
		current.Spec.Template = wanted.Spec.Template
		_, err = p.deployments.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
}

func (p *provider) updateService(ctx context.Context, wanted *corev1.Service) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := p.services.Get(ctx, wanted.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Annotations = wanted.Annotations
		_, err = p.services.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
}

// remove deletes a function.
func (p *provider) remove(w http.ResponseWriter, r *http.Request) error {
	var request types.DeleteFunctionRequest
	if err := readJSON(r, &request); err != nil {
		return err
	}
	if err := p.checkNamespace(request.Namespace); err != nil {
		return err
	}
	if _, err := p.function(r.Context(), request.FunctionName); err != nil {
		return err
	}
	if err := p.deployments.Delete(r.Context(), request.FunctionName, inBackground()); err != nil {
		return fmt.Errorf("unable to delete Deployment: %w", err)
	}
	err := p.services.Delete(r.Context(), request.FunctionName, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("unable to delete Service: %w", err)
	}
	return accepted(w)
}

// inBackground deletes an object at once and what it owns after it, so that
// its name is free for the next deploy.
func inBackground() metav1.DeleteOptions {
	policy := metav1.DeletePropagationBackground
	return metav1.DeleteOptions{PropagationPolicy: &policy}
}

// readFunction turns a request to deploy or update into the objects wanted.
func (p *provider) readFunction(r *http.Request) (*appsv1.Deployment, *corev1.Service, error) {
	var request types.FunctionDeployment
	if err := readJSON(r, &request); err != nil {
		return nil, nil, err
	}
	if err := validateFunction(&request); err != nil {
		return nil, nil, err
	}
	if err := p.checkNamespace(request.Namespace); err != nil {
		return nil, nil, err
	}
	secrets, err := p.findSecrets(r.Context(), request.Secrets)
	if err != nil {
		return nil, nil, err
	}
	deployment, err := newDeployment(&request, secrets)
	if err != nil {
		return nil, nil, err
	}
	return deployment, newService(&request), nil
}
