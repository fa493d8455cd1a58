// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/openfaas/faas-provider/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (b *bench) status(t *testing.T, name string) types.FunctionStatus {
	t.Helper()
	var status types.FunctionStatus
	if err := json.Unmarshal([]byte(b.call(t, "GET", "/system/function/"+name, "", 200)), &status); err != nil {
		t.Fatal(err)
	}
	return status
}

func TestListIsNeverNull(t *testing.T) {
	if answer := newBench(t).call(t, "GET", "/system/functions", "", 200); answer != "[]" {
		t.Errorf("answer: %q", answer)
	}
}

func TestListHasFunctionsOnly(t *testing.T) {
	b := deployed(t,
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: testNamespace}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			Name: "elsewhere", Namespace: "default", Labels: map[string]string{functionLabel: "elsewhere"},
		}})
	var functions []types.FunctionStatus
	if err := json.Unmarshal([]byte(b.call(t, "GET", "/system/functions", "", 200)), &functions); err != nil {
		t.Fatal(err)
	}
	if len(functions) != 1 || functions[0].Name != "echo" || functions[0].Namespace != testNamespace {
		t.Errorf("functions: %+v", functions)
	}
}

func TestStatusReportsWhatWasDeployed(t *testing.T) {
	b := newBench(t, newSecret("key", corev1.SecretTypeOpaque, "key"))
	b.call(t, "POST", "/system/functions", `{"service":"echo","image":"example.local/echo:1","envProcess":"cat",
		"labels":{"com.openfaas.scale.min":"2"},"annotations":{"topic":"mail"},"secrets":["key"],
		"limits":{"memory":"64Mi"},"requests":{"cpu":"10m"}}`, 202)
	status := b.status(t, "echo")
	if status.Image != "example.local/echo:1" || status.EnvProcess != "cat" || status.Replicas != 2 {
		t.Errorf("status: %+v", status)
	}
	if (*status.Labels)[minScaleLabel] != "2" || (*status.Annotations)["topic"] != "mail" {
		t.Errorf("labels %v, annotations %v", *status.Labels, *status.Annotations)
	}
	if !slices.Equal(status.Secrets, []string{"key"}) {
		t.Errorf("secrets: %v", status.Secrets)
	}
	if status.Limits.Memory != "64Mi" || status.Requests.CPU != "10m" {
		t.Errorf("limits %v, requests %v", status.Limits, status.Requests)
	}
}

func TestStatusCountsAvailableReplicas(t *testing.T) {
	b := deployed(t)
	if status := b.status(t, "echo"); status.AvailableReplicas != 0 {
		t.Errorf("available before any pod: %d", status.AvailableReplicas)
	}
	deployment := b.deployment(t, "echo")
	deployment.Status.AvailableReplicas = 1
	if _, err := b.deployments.UpdateStatus(t.Context(), deployment, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if status := b.status(t, "echo"); status.AvailableReplicas != 1 {
		t.Errorf("available: %d, want 1", status.AvailableReplicas)
	}
}

func TestStatusOfStrangeDeployment(t *testing.T) {
	labels := map[string]string{functionLabel: "odd"}
	b := newBench(t, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "odd", Namespace: testNamespace, Labels: labels}})
	if status := b.status(t, "odd"); status.Replicas != 1 || status.Image != "" {
		t.Errorf("status: %+v", status)
	}
}

func TestStatusOfMissingFunction(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"absent", "Not_A_Name", "a.b"} {
		b.call(t, "GET", "/system/function/"+name, "", 404)
	}
}

func TestScale(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		want   uint64
	}{
		"up":              {`{"serviceName":"echo","replicas":4}`, 202, 4},
		"to none":         {`{"replicas":0}`, 202, 0},
		"beyond limit":    {`{"replicas":50}`, 202, maxReplicas},
		"beyond integers": {`{"replicas":18446744073709551615}`, 202, maxReplicas},
		"negative":        {`{"replicas":-1}`, 400, 1},
		"empty":           {``, 400, 1},
		"other namespace": {`{"replicas":2,"namespace":"default"}`, 400, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := deployed(t)
			b.call(t, "POST", "/system/scale-function/echo", c.body, c.status)
			if got := b.status(t, "echo").Replicas; got != c.want {
				t.Errorf("replicas: %d, want %d", got, c.want)
			}
		})
	}
}

func TestScaleOfMissingFunction(t *testing.T) {
	newBench(t).call(t, "POST", "/system/scale-function/absent", `{"replicas":1}`, 404)
}
