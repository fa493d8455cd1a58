// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/openfaas/faas-provider/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
)

// The label tells the secrets made through this API from all others.
const (
	secretLabel      = "app.kubernetes.io/managed-by"
	secretLabelValue = "openfaas"
)

// secretsRoute serves all methods of one path, which the SDK does not split.
func (p *provider) secretsRoute(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet {
		return p.listSecrets(w, r)
	}
	secret, err := p.readSecret(r)
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost:
		_, err = p.secrets.Create(r.Context(), secret, metav1.CreateOptions{})
	case http.MethodPut:
		err = p.replaceSecret(r.Context(), secret)
	case http.MethodDelete:
		err = p.secrets.Delete(r.Context(), secret.Name, metav1.DeleteOptions{})
	default:
		err = &httpError{http.StatusMethodNotAllowed, "method not allowed: " + r.Method}
	}
	if err != nil {
		return err
	}
	return accepted(w)
}

// listSecrets answers with names only: a value that was written is for
// functions to read.
func (p *provider) listSecrets(w http.ResponseWriter, r *http.Request) error {
	options := metav1.ListOptions{LabelSelector: secretLabel + "=" + secretLabelValue}
	list, err := p.secrets.List(r.Context(), options)
	if err != nil {
		return fmt.Errorf("unable to list secrets: %w", err)
	}
	secrets := make([]types.Secret, 0, len(list.Items))
	for i := range list.Items {
		secrets = append(secrets, types.Secret{Name: list.Items[i].Name, Namespace: p.namespace})
	}
	return writeJSON(w, secrets)
}

func (p *provider) replaceSecret(ctx context.Context, wanted *corev1.Secret) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := p.secrets.Get(ctx, wanted.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Data = wanted.Data
		_, err = p.secrets.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
}

// readSecret turns the body of a request into a Kubernetes secret with one
// key, named as the secret is.
func (p *provider) readSecret(r *http.Request) (*corev1.Secret, error) {
	var request types.Secret
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	if err := p.checkNamespace(request.Namespace); err != nil {
		return nil, err
	}
	if problems := validation.IsDNS1123Subdomain(request.Name); len(problems) > 0 {
		return nil, badRequest("secret name %q is invalid: %s", request.Name, strings.Join(problems, "; "))
	}
	value := request.RawValue
	if len(value) == 0 {
		value = []byte(request.Value)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   request.Name,
			Labels: map[string]string{secretLabel: secretLabelValue},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{request.Name: value},
	}, nil
}

// findSecrets fetches the secrets a function names. One that is missing is a
// mistake in the request: its pods would wait for it for ever.
func (p *provider) findSecrets(ctx context.Context, names []string) ([]*corev1.Secret, error) {
	secrets := make([]*corev1.Secret, 0, len(names))
	for _, name := range names {
		secret, err := p.secrets.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, badRequest("secret %q was not found in namespace %s", name, p.namespace)
		}
		if err != nil {
			return nil, fmt.Errorf("unable to fetch secret %q: %w", name, err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}
