// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

func (b *bench) deployment(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	deployment, err := b.deployments.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return deployment
}

func TestDeployCreatesDeploymentAndService(t *testing.T) {
	b := deployed(t)
	deployment := b.deployment(t, "echo")
	if *deployment.Spec.Replicas != 1 {
		t.Errorf("replicas: %d, want 1", *deployment.Spec.Replicas)
	}
	for what, labels := range map[string]map[string]string{
		"deployment": deployment.Labels,
		"selector":   deployment.Spec.Selector.MatchLabels,
		"pods":       deployment.Spec.Template.Labels,
	} {
		if labels[functionLabel] != "echo" {
			t.Errorf("%s: labels %v", what, labels)
		}
	}
	service, err := b.services.Get(t.Context(), "echo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if port := service.Spec.Ports[0]; port.Port != 8080 || port.TargetPort.IntVal != 8080 || port.Name != "http" {
		t.Errorf("port of the service: %+v", port)
	}
	if service.Spec.Selector[functionLabel] != "echo" || service.Labels[functionLabel] != "echo" {
		t.Errorf("service selects %v and is labelled %v", service.Spec.Selector, service.Labels)
	}
}

func TestDeployRefusesRequest(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"no JSON":            {`{`, 400, "cannot parse"},
		"no name":            {`{"image":"i"}`, 400, "service: is required"},
		"no image":           {`{"service":"f"}`, 400, "image: is required"},
		"upper case":         {`{"service":"Echo","image":"i"}`, 400, "(Echo) is invalid"},
		"name with dot":      {`{"service":"a.b","image":"i"}`, 400, "(a.b) is invalid"},
		"name too long":      {fmt.Sprintf(`{"service":%q,"image":"i"}`, strings.Repeat("a", 64)), 400, "63"},
		"other namespace":    {`{"service":"f","image":"i","namespace":"kube-system"}`, 400, "must be: openfaas-fn"},
		"missing secret":     {`{"service":"f","image":"i","secrets":["absent"]}`, 400, `"absent"`},
		"bad limit":          {`{"service":"f","image":"i","limits":{"memory":"much"}}`, 400, `limits: memory: "much"`},
		"bad request of CPU": {`{"service":"f","image":"i","requests":{"cpu":"x"}}`, 400, `requests: cpu: "x"`},
		"bad constraint":     {`{"service":"f","image":"i","constraints":["ssd"]}`, 400, `"ssd"`},
		"too many replicas":  {`{"service":"f","image":"i","labels":{"com.openfaas.scale.min":"6"}}`, 400, "than 5"},
		"scale to zero":      {`{"service":"f","image":"i","labels":{"com.openfaas.scale.zero":"true"}}`, 400, "not avail"},
		"scale by type":      {`{"service":"f","image":"i","labels":{"com.openfaas.scale.type":"rps"}}`, 400, "not available"},
		"huge body":          {`{"service":"` + strings.Repeat("a", maxBody) + `"}`, 413, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if answer := b.call(t, "POST", "/system/functions", c.body, c.status); !strings.Contains(answer, c.says) {
				t.Errorf("answer %q does not say %q", answer, c.says)
			}
			list, err := b.deployments.List(t.Context(), metav1.ListOptions{})
			if err != nil || len(list.Items) != 0 {
				t.Errorf("something was deployed: %v, %v", list.Items, err)
			}
		})
	}
}

func TestDeployOfExistingFunctionFails(t *testing.T) {
	b := deployed(t)
	answer := b.call(t, "POST", "/system/functions", `{"service":"echo","image":"i"}`, 500)
	if !strings.Contains(answer, "already exists") {
		t.Errorf("answer: %q", answer)
	}
	b.call(t, "GET", "/system/function/echo", "", 200)
}

func TestDeployTakesBackDeploymentWithoutService(t *testing.T) {
	b := newBench(t)
	b.cluster.PrependReactor("create", "services",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("no addresses left")
		})
	answer := b.call(t, "POST", "/system/functions", `{"service":"echo","image":"i"}`, 500)
	if !strings.Contains(answer, "no addresses left") {
		t.Errorf("answer: %q", answer)
	}
	b.call(t, "GET", "/system/function/echo", "", 404)
}

func TestUpdateKeepsReplicas(t *testing.T) {
	b := deployed(t)
	b.call(t, "POST", "/system/scale-function/echo", `{"replicas":3}`, 202)
	b.call(t, "PUT", "/system/functions", `{"service":"echo","image":"example.local/echo:2","labels":{"a":"b"}}`, 202)
	deployment := b.deployment(t, "echo")
	if *deployment.Spec.Replicas != 3 {
		t.Errorf("replicas: %d, want 3", *deployment.Spec.Replicas)
	}
	template := deployment.Spec.Template
	if template.Spec.Containers[0].Image != "example.local/echo:2" || template.Labels["a"] != "b" {
		t.Errorf("template was not updated: %+v", template)
	}
}

func TestUpdateFollowsScaleLabel(t *testing.T) {
	b := deployed(t)
	b.call(t, "PUT", "/system/functions", `{"service":"echo","image":"i","labels":{"com.openfaas.scale.min":"2"}}`, 202)
	if replicas := *b.deployment(t, "echo").Spec.Replicas; replicas != 2 {
		t.Errorf("replicas: %d, want 2", replicas)
	}
}

func TestUpdateAlwaysRollsOut(t *testing.T) {
	b := deployed(t)
	const same = `{"service":"echo","image":"example.local/echo:1"}`
	b.call(t, "PUT", "/system/functions", same, 202)
	first := b.deployment(t, "echo").Spec.Template.Labels[revisionLabel]
	b.call(t, "PUT", "/system/functions", same, 202)
	if second := b.deployment(t, "echo").Spec.Template.Labels[revisionLabel]; first == second {
		t.Errorf("both updates have the revision %q", first)
	}
}

func TestUpdateRepeatsAfterConflict(t *testing.T) {
	b := deployed(t)
	conflicts := 0
	b.cluster.PrependReactor("update", "deployments", func(action clienttesting.Action) (bool, runtime.Object, error) {
		conflicts++
		conflict := apierrors.NewConflict(action.GetResource().GroupResource(), "echo", errors.New("changed"))
		return conflicts == 1, nil, conflict
	})
	b.call(t, "PUT", "/system/functions", `{"service":"echo","image":"i"}`, 202)
	if conflicts != 2 {
		t.Errorf("tried %d times, want 2", conflicts)
	}
}

func TestUpdateOfMissingFunction(t *testing.T) {
	newBench(t).call(t, "PUT", "/system/functions", `{"service":"echo","image":"i"}`, 404)
}

func TestRemove(t *testing.T) {
	b := deployed(t)
	b.call(t, "DELETE", "/system/functions", `{"functionName":"echo"}`, 202)
	b.call(t, "GET", "/system/function/echo", "", 404)
	if _, err := b.services.Get(t.Context(), "echo", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("service is still there: %v", err)
	}
	b.call(t, "POST", "/system/functions", `{"service":"echo","image":"i"}`, 202)
}

func TestRemoveRefusesRequest(t *testing.T) {
	stranger := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: testNamespace}}
	b := newBench(t, stranger)
	for body, status := range map[string]int{
		`{"functionName":"absent"}`:   404,
		`{"functionName":"stranger"}`: 404,
		`{"functionName":"no/name"}`:  404,
		`{"functionName":""}`:         400,
		`[]`:                          400,
		`{"functionName":"stranger","namespace":"openfaas"}`: 400,
	} {
		b.call(t, "DELETE", "/system/functions", body, status)
	}
	b.deployment(t, "stranger")
}

func TestOtherNamespaceIsRefused(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/system/functions", "/system/function/echo", "/system/secrets", "/system/logs"} {
		b.call(t, "GET", path+"?namespace=kube-system", "", 400)
	}
	b.call(t, "GET", "/system/functions?namespace="+testNamespace, "", 200)
}

func newSecret(name string, kind corev1.SecretType, keys ...string) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: testNamespace},
		Type:       kind,
		Data:       map[string][]byte{},
	}
	for _, key := range keys {
		secret.Data[key] = []byte("value")
	}
	return secret
}
