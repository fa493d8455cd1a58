// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/openfaas/faas-provider/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const testNamespace = "openfaas-fn"

// bench is a provider over a cluster that exists in memory only.
type bench struct {
	*provider
	cluster *fake.Clientset
	router  *mux.Router
}

func newBench(t *testing.T, objects ...runtime.Object) *bench {
	t.Helper()
	cluster := fake.NewClientset(objects...)
	p := newProvider(testNamespace, &kubeClients{apps: cluster.AppsV1(), core: listingCore{cluster.CoreV1()}})
	return &bench{provider: p, cluster: cluster, router: newRouter(t, p)}
}

// newRouter has the routes of the SDK's server, which cannot be had without
// its listening on a port.
func newRouter(t *testing.T, p *provider) *mux.Router {
	handlers := p.handlers(t.Context(), &types.FaaSConfig{WriteTimeout: 10 * time.Second})
	router := mux.NewRouter()
	router.HandleFunc("/system/functions", handlers.FunctionLister).Methods(http.MethodGet)
	router.HandleFunc("/system/functions", handlers.DeployFunction).Methods(http.MethodPost)
	router.HandleFunc("/system/functions", handlers.UpdateFunction).Methods(http.MethodPut)
	router.HandleFunc("/system/functions", handlers.DeleteFunction).Methods(http.MethodDelete)
	router.HandleFunc("/system/function/{name}", handlers.FunctionStatus)
	router.HandleFunc("/system/scale-function/{name}", handlers.ScaleFunction)
	router.HandleFunc("/system/secrets", handlers.Secrets)
	router.HandleFunc("/system/logs", handlers.Logs)
	router.HandleFunc("/system/info", handlers.Info)
	router.HandleFunc("/system/namespaces", handlers.ListNamespaces)
	router.HandleFunc("/function/{name}", handlers.FunctionProxy)
	router.HandleFunc("/healthz", handlers.Health)
	return router
}

// call sends a request and fails the test if the status is another.
func (b *bench) call(t *testing.T, method, path, body string, status int) string {
	t.Helper()
	recorder := &closeNotifier{httptest.NewRecorder()}
	b.router.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	answer := recorder.Body.String()
	if recorder.Code != status {
		t.Fatalf("%s %s %s: status %d with %q, want %d", method, path, body, recorder.Code, answer, status)
	}
	return answer
}

// deployed makes a bench with one function named "echo" on it.
func deployed(t *testing.T, objects ...runtime.Object) *bench {
	t.Helper()
	b := newBench(t, objects...)
	b.call(t, "POST", "/system/functions", `{"service":"echo","image":"example.local/echo:1"}`, 202)
	return b
}

// runWatch starts the watch of pods and waits until it follows the cluster.
func (b *bench) runWatch(t *testing.T) {
	t.Helper()
	go b.watch.run(t.Context())
	eventually(t, "the watch of pods", func() bool {
		for _, action := range b.cluster.Actions() {
			if action.Matches("watch", "pods") {
				return b.watch.synced()
			}
		}
		return false
	})
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

// newPod makes a running and ready replica of a function.
func newPod(function, name, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: testNamespace,
			Labels:    map[string]string{functionLabel: function},
		},
		Status: corev1.PodStatus{
			PodIP:      address,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name:        function,
				ContainerID: "id-of-" + name,
				State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
}

// closeNotifier adds to a recorder what the SDK's handler of logs asks for.
type closeNotifier struct{ *httptest.ResponseRecorder }

func (closeNotifier) CloseNotify() <-chan bool { return nil }

// listingCore says of its pods that they can be watched only after a list,
// since the cluster in memory cannot do both in one.
type listingCore struct{ typedcorev1.CoreV1Interface }

func (c listingCore) Pods(namespace string) typedcorev1.PodInterface {
	return listingPods{c.CoreV1Interface.Pods(namespace)}
}

type listingPods struct{ typedcorev1.PodInterface }

func (listingPods) IsWatchListSemanticsUnSupported() bool { return true }
