// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newResolver(t *testing.T, pods ...*corev1.Pod) *resolver {
	t.Helper()
	b := newBench(t)
	for _, pod := range pods {
		if err := b.watch.informer.GetIndexer().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	return &resolver{namespace: testNamespace, watch: b.watch}
}

func TestResolve(t *testing.T) {
	r := newResolver(t, newPod("echo", "echo-1", "10.0.0.1"), newPod("six", "six-1", "fd00::1"))
	for name, want := range map[string]string{
		"echo":             "http://10.0.0.1:8080",
		"echo.openfaas-fn": "http://10.0.0.1:8080",
		"six":              "http://[fd00::1]:8080",
		"absent":           "",
		"echo.kube-system": "",
		"":                 "",
	} {
		got, err := r.Resolve(name)
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q and error %v, want %q", name, got.String(), err, want)
		}
	}
}

func TestResolveTakesTurns(t *testing.T) {
	r := newResolver(t, newPod("echo", "echo-1", "10.0.0.1"), newPod("echo", "echo-2", "10.0.0.2"),
		newPod("other", "other-1", "10.0.0.3"))
	calls := map[string]int{}
	for range 10 {
		address, err := r.Resolve("echo")
		if err != nil {
			t.Fatal(err)
		}
		calls[address.Host]++
	}
	if len(calls) != 2 || calls["10.0.0.1:8080"] != 5 || calls["10.0.0.2:8080"] != 5 {
		t.Errorf("calls: %v", calls)
	}
}

func TestIsReady(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"ready":         {func(*corev1.Pod) {}, true},
		"not ready":     {func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }, false},
		"not known":     {func(p *corev1.Pod) { p.Status.Conditions = nil }, false},
		"no address":    {func(p *corev1.Pod) { p.Status.PodIP = "" }, false},
		"being deleted": {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }, false},
	} {
		pod := newPod("echo", "echo-1", "10.0.0.1")
		c.change(pod)
		if got := isReady(pod); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestWatchFollowsPods(t *testing.T) {
	b := newBench(t, newPod("echo", "echo-1", "10.0.0.1"))
	b.call(t, "GET", "/healthz", "", 503)
	b.runWatch(t)
	b.call(t, "GET", "/healthz", "", 200)
	if _, err := b.pods.Create(t.Context(), newPod("echo", "echo-2", "10.0.0.2"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a second pod", func() bool { return len(b.watch.of("echo")) == 2 })
	if err := b.pods.Delete(t.Context(), "echo-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first pod's end", func() bool { return len(b.watch.of("echo")) == 1 })
}

func TestProxyWithoutReplica(t *testing.T) {
	answer := newBench(t).call(t, "GET", "/function/absent", "", 503)
	if !strings.Contains(answer, "No endpoints available for: absent") {
		t.Errorf("answer: %q", answer)
	}
}
