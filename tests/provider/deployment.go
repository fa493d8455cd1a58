// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/openfaas/faas-provider/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// processVariable tells the watchdog in the image what to run.
const processVariable = "fprocess"

// newDeployment makes the Deployment of a function. The secrets are those the
// request names.
func newDeployment(function *types.FunctionDeployment, secrets []*corev1.Secret) (*appsv1.Deployment, error) {
	template, err := newPodTemplate(function, secrets)
	if err != nil {
		return nil, err
	}
	replicas, ok := minReplicas(labelsOf(function))
	if !ok {
		replicas = 1
	}
	return &appsv1.Deployment{
		ObjectMeta: newMeta(function),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{functionLabel: function.Service}},
			Template: *template,
			Strategy: rollingUpdate(),
		},
	}, nil
}

// newService makes the Service of a function, which gives it a name in the
// cluster's DNS.
func newService(function *types.FunctionDeployment) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: newMeta(function),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: map[string]string{functionLabel: function.Service},
			Ports: []corev1.ServicePort{{
				Name:       "http",
				Protocol:   corev1.ProtocolTCP,
				Port:       functionPort,
				TargetPort: intstr.FromInt32(functionPort),
			}},
		},
	}
}

func newMeta(function *types.FunctionDeployment) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        function.Service,
		Labels:      map[string]string{functionLabel: function.Service},
		Annotations: newAnnotations(function),
	}
}

// newAnnotations adds to the function's own that Prometheus is not to scrape
// it, unless it says so itself.
func newAnnotations(function *types.FunctionDeployment) map[string]string {
	annotations := map[string]string{"prometheus.io.scrape": "false"}
	if function.Annotations != nil {
		maps.Copy(annotations, *function.Annotations)
	}
	return annotations
}

func newPodTemplate(function *types.FunctionDeployment, secrets []*corev1.Secret) (*corev1.PodTemplateSpec, error) {
	container, err := newContainer(function)
	if err != nil {
		return nil, err
	}
	selector, err := nodeSelector(function.Constraints)
	if err != nil {
		return nil, err
	}
	spec := corev1.PodSpec{
		Containers:   []corev1.Container{*container},
		NodeSelector: selector,
		// The addresses of all Services as variables would grow with the
		// number of functions and slow the start of each.
		EnableServiceLinks: new(false),
	}
	if function.ReadOnlyRootFilesystem {
		mountTemporary(&spec)
	}
	mountSecrets(&spec, function.Service, secrets)
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: podLabels(function), Annotations: newAnnotations(function)},
		Spec:       spec,
	}, nil
}

// podLabels are the function's own and, set last, the one that the selector of
// the Deployment depends on.
func podLabels(function *types.FunctionDeployment) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, labelsOf(function))
	labels[functionLabel] = function.Service
	return labels
}

func newContainer(function *types.FunctionDeployment) (*corev1.Container, error) {
	resources, err := newResources(function)
	if err != nil {
		return nil, err
	}
	return &corev1.Container{
		Name:            function.Service,
		Image:           function.Image,
		ImagePullPolicy: corev1.PullAlways,
		Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: functionPort, Protocol: corev1.ProtocolTCP}},
		Env:             newVariables(function),
		Resources:       *resources,
		ReadinessProbe:  readinessProbe(),
		LivenessProbe:   livenessProbe(),
		SecurityContext: &corev1.SecurityContext{ReadOnlyRootFilesystem: new(function.ReadOnlyRootFilesystem)},
	}, nil
}

// newVariables are sorted, so that the same request makes the same pod.
func newVariables(function *types.FunctionDeployment) []corev1.EnvVar {
	var variables []corev1.EnvVar
	if function.EnvProcess != "" {
		variables = append(variables, corev1.EnvVar{Name: processVariable, Value: function.EnvProcess})
	}
	for name, value := range function.EnvVars {
		variables = append(variables, corev1.EnvVar{Name: name, Value: value})
	}
	slices.SortStableFunc(variables, func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) })
	return variables
}

// nodeSelector reads constraints of the forms "key=value" and "key==value".
func nodeSelector(constraints []string) (map[string]string, error) {
	selector := map[string]string{}
	for _, constraint := range constraints {
		key, value, ok := strings.Cut(constraint, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return nil, badRequest("constraint %q is not of the form key=value", constraint)
		}
		selector[key] = strings.TrimSpace(strings.TrimPrefix(value, "="))
	}
	return selector, nil
}

// minReplicas reads how many replicas a function wants at least. A label that
// is not a positive number counts as none.
func minReplicas(labels map[string]string) (int32, bool) {
	count, err := strconv.ParseInt(labels[minScaleLabel], 10, 32)
	if err != nil || count <= 0 {
		return 0, false
	}
	return int32(count), true
}

// rollingUpdate never takes a replica away before its successor is ready.
func rollingUpdate() appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(0)),
			MaxSurge:       new(intstr.FromInt32(1)),
		},
	}
}

// readinessProbe looks every second from the start on: whoever deploys a
// function waits for it.
func readinessProbe() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     healthCheck(),
		PeriodSeconds:    1,
		TimeoutSeconds:   1,
		FailureThreshold: 3,
	}
}

// livenessProbe is more patient than the other: a node that is busy for a
// moment must not cost a healthy function its life.
func livenessProbe() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:        healthCheck(),
		InitialDelaySeconds: 2,
		PeriodSeconds:       2,
		TimeoutSeconds:      2,
		FailureThreshold:    5,
	}
}

func healthCheck() corev1.ProbeHandler {
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: "/_/health",
		Port: intstr.FromInt32(functionPort),
	}}
}
