// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (b *bench) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret, err := b.secrets.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestSecretLife(t *testing.T) {
	b := newBench(t, newSecret("not-ours", corev1.SecretTypeOpaque, "key"))
	const path = "/system/secrets"
	b.call(t, "POST", path, `{"name":"key","value":"first"}`, 202)
	secret := b.secret(t, "key")
	if string(secret.Data["key"]) != "first" || secret.Labels[secretLabel] != secretLabelValue {
		t.Errorf("secret: %q, labels %v", secret.Data, secret.Labels)
	}
	b.call(t, "POST", path, `{"name":"key","value":"again"}`, 409)

	b.call(t, "PUT", path, `{"name":"key","value":"second"}`, 202)
	if got := string(b.secret(t, "key").Data["key"]); got != "second" {
		t.Errorf("value after the update: %q", got)
	}
	if got := b.call(t, "GET", path, "", 200); got != `[{"name":"key","namespace":"openfaas-fn"}]` {
		t.Errorf("list: %s", got)
	}
	b.call(t, "DELETE", path, `{"name":"key"}`, 202)
	if got := b.call(t, "GET", path, "", 200); got != "[]" {
		t.Errorf("list after the delete: %s", got)
	}
}

func TestSecretKeepsBytes(t *testing.T) {
	b := newBench(t)
	b.call(t, "POST", "/system/secrets", `{"name":"raw","value":"ignored","rawValue":"AP8K"}`, 202)
	if got := string(b.secret(t, "raw").Data["raw"]); got != "\x00\xff\n" {
		t.Errorf("value: %q", got)
	}
}

func TestSecretRefusesRequest(t *testing.T) {
	for name, c := range map[string]struct {
		method, body string
		status       int
	}{
		"no JSON":         {"POST", `secret`, 400},
		"no name":         {"POST", `{"value":"x"}`, 400},
		"bad name":        {"POST", `{"name":"A B","value":"x"}`, 400},
		"other namespace": {"POST", `{"name":"a","namespace":"default"}`, 400},
		"missing update":  {"PUT", `{"name":"a","value":"x"}`, 404},
		"missing delete":  {"DELETE", `{"name":"a"}`, 404},
		"other method":    {"PATCH", `{"name":"a"}`, 405},
	} {
		t.Run(name, func(t *testing.T) {
			newBench(t).call(t, c.method, "/system/secrets", c.body, c.status)
		})
	}
}
