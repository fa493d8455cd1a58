// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/openfaas/faas-provider/types"
	corev1 "k8s.io/api/core/v1"
)

func podSpec(t *testing.T, function *types.FunctionDeployment, secrets ...*corev1.Secret) corev1.PodSpec {
	t.Helper()
	function.Service, function.Image = "echo", "example.local/echo:1"
	deployment, err := newDeployment(function, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return deployment.Spec.Template.Spec
}

func TestPodOfPlainFunction(t *testing.T) {
	spec := podSpec(t, &types.FunctionDeployment{})
	container := spec.Containers[0]
	if container.Name != "echo" || container.Image != "example.local/echo:1" {
		t.Errorf("container: %s of %s", container.Name, container.Image)
	}
	if container.ImagePullPolicy != corev1.PullAlways {
		t.Errorf("pull policy: %s", container.ImagePullPolicy)
	}
	if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
		t.Error("service links are on")
	}
	if len(spec.Volumes) != 0 {
		t.Errorf("volumes: %v", spec.Volumes)
	}
	for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
		if probe.HTTPGet.Path != "/_/health" || probe.HTTPGet.Port.IntVal != 8080 || probe.PeriodSeconds > 2 {
			t.Errorf("probe: %+v", probe)
		}
	}
}

func TestVariables(t *testing.T) {
	spec := podSpec(t, &types.FunctionDeployment{
		EnvProcess: "cat",
		EnvVars:    map[string]string{"z": "1", "a": "2"},
	})
	want := []corev1.EnvVar{{Name: "a", Value: "2"}, {Name: "fprocess", Value: "cat"}, {Name: "z", Value: "1"}}
	if got := spec.Containers[0].Env; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestResources(t *testing.T) {
	resources := podSpec(t, &types.FunctionDeployment{
		Limits:   &types.FunctionResources{Memory: "64Mi", CPU: "500m"},
		Requests: &types.FunctionResources{Memory: "16Mi"},
	}).Containers[0].Resources
	if resources.Limits.Memory().String() != "64Mi" || resources.Limits.Cpu().String() != "500m" {
		t.Errorf("limits: %v", resources.Limits)
	}
	if resources.Requests.Memory().String() != "16Mi" || len(resources.Requests) != 1 {
		t.Errorf("requests: %v", resources.Requests)
	}
}

func TestReadOnlyRootHasTemporaryFolder(t *testing.T) {
	spec := podSpec(t, &types.FunctionDeployment{ReadOnlyRootFilesystem: true})
	container := spec.Containers[0]
	if !*container.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root file system is writable")
	}
	if len(spec.Volumes) != 1 || spec.Volumes[0].EmptyDir == nil || container.VolumeMounts[0].MountPath != "/tmp" {
		t.Errorf("volumes %v at %v", spec.Volumes, container.VolumeMounts)
	}
}

func TestSecretsAreProjected(t *testing.T) {
	spec := podSpec(t, &types.FunctionDeployment{},
		newSecret("two", corev1.SecretTypeOpaque, "z", "a"),
		newSecret("pull", corev1.SecretTypeDockerConfigJson, ".dockerconfigjson"),
		newSecret("one", corev1.SecretTypeOpaque, "one"))
	if got := spec.Containers[0].VolumeMounts; len(got) != 1 || got[0].MountPath != "/var/openfaas/secrets" || !got[0].ReadOnly {
		t.Errorf("mounts: %v", got)
	}
	sources := spec.Volumes[0].Projected.Sources
	if len(spec.Volumes) != 1 || len(sources) != 2 {
		t.Fatalf("volumes: %v", spec.Volumes)
	}
	if items := sources[0].Secret.Items; len(items) != 2 || items[0].Key != "a" || items[1].Path != "z" {
		t.Errorf("items: %v", items)
	}
	if want := []string{"one", "pull", "two"}; !slices.Equal(mountedSecrets(&spec), want) {
		t.Errorf("reported: %v, want %v", mountedSecrets(&spec), want)
	}
	if len(spec.ImagePullSecrets) != 1 || spec.ImagePullSecrets[0].Name != "pull" {
		t.Errorf("pull secrets: %v", spec.ImagePullSecrets)
	}
}

func TestLabelsAndAnnotations(t *testing.T) {
	function := &types.FunctionDeployment{
		Service:     "echo",
		Image:       "i",
		Labels:      &map[string]string{"team": "a", functionLabel: "other"},
		Annotations: &map[string]string{"topic": "mail"},
	}
	deployment, err := newDeployment(function, nil)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"team": "a", functionLabel: "echo"}
	if got := deployment.Spec.Template.Labels; !maps.Equal(got, labels) {
		t.Errorf("labels: %v, want %v", got, labels)
	}
	annotations := map[string]string{"topic": "mail", "prometheus.io.scrape": "false"}
	for _, got := range []map[string]string{
		deployment.Annotations, deployment.Spec.Template.Annotations, newService(function).Annotations,
	} {
		if !maps.Equal(got, annotations) {
			t.Errorf("annotations: %v, want %v", got, annotations)
		}
	}
}

func TestNodeSelector(t *testing.T) {
	got, err := nodeSelector([]string{"disk=ssd", "zone == b", "spare="})
	want := map[string]string{"disk": "ssd", "zone": "b", "spare": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestMinReplicas(t *testing.T) {
	for value, want := range map[string]int32{"3": 3, "": 0, "0": 0, "-2": 0, "many": 0, "4294967297": 0} {
		if got, ok := minReplicas(map[string]string{minScaleLabel: value}); got != want || ok != (want > 0) {
			t.Errorf("%q: got %d, %v; want %d", value, got, ok, want)
		}
	}
}
