// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestStatusOf(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"own":       {&httpError{418, "teapot"}, 418},
		"wrapped":   {fmt.Errorf("outer: %w", badRequest("inner")), 400},
		"not found": {apierrors.NewNotFound(pods, "a"), 404},
		"exists":    {apierrors.NewAlreadyExists(pods, "a"), 409},
		"conflict":  {fmt.Errorf("outer: %w", apierrors.NewConflict(pods, "a", nil)), 409},
		"invalid":   {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "a", nil), 422},
		"forbidden": {apierrors.NewForbidden(pods, "a", nil), 403},
		"bad":       {apierrors.NewBadRequest("no"), 400},
		"other":     {errors.New("no idea"), 500},
	} {
		if got := statusOf(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestInfoNamesThisProvider(t *testing.T) {
	b := newBench(t)
	want := `{"provider":"mkcluster-provider","version":{"sha":"","release":"dev"},"orchestration":"kubernetes"}`
	if got := b.call(t, "GET", "/system/info", "", 200); got != want {
		t.Errorf("info: %s", got)
	}
	if got := b.call(t, "GET", "/system/namespaces", "", 200); got != `["openfaas-fn"]` {
		t.Errorf("namespaces: %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("port", "9000")
	t.Setenv("basic_auth", "")
	env := environment{}
	for key, want := range map[string]string{"port": "9000", "basic_auth": "true", "max_idle_conns": ""} {
		if got := env.Getenv(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
