// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	secretsPath     = "/var/openfaas/secrets"
	secretsVolume   = "secrets"
	temporaryVolume = "temp"
)

// mountTemporary gives a function whose root file system is read-only a place
// to write to.
func mountTemporary(spec *corev1.PodSpec) {
	mount(spec, corev1.VolumeMount{Name: temporaryVolume, MountPath: "/tmp"},
		corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
}

// mountSecrets puts all keys of all secrets into one folder. Credentials of an
// image registry are for the kubelet instead, and are no files.
func mountSecrets(spec *corev1.PodSpec, function string, secrets []*corev1.Secret) {
	var sources []corev1.VolumeProjection
	for _, secret := range secrets {
		if isPullSecret(secret) {
			spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: secret.Name})
			continue
		}
		sources = append(sources, project(secret))
	}
	if len(sources) == 0 {
		return
	}
	mount(spec, corev1.VolumeMount{Name: secretsVolume, MountPath: secretsPath, ReadOnly: true},
		corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}})
}

func project(secret *corev1.Secret) corev1.VolumeProjection {
	projection := &corev1.SecretProjection{}
	projection.Name = secret.Name
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		projection.Items = append(projection.Items, corev1.KeyToPath{Key: key, Path: key})
	}
	return corev1.VolumeProjection{Secret: projection}
}

func isPullSecret(secret *corev1.Secret) bool {
	return secret.Type == corev1.SecretTypeDockercfg || secret.Type == corev1.SecretTypeDockerConfigJson
}

// mount adds a volume to the pod and to its one container.
func mount(spec *corev1.PodSpec, at corev1.VolumeMount, source corev1.VolumeSource) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: at.Name, VolumeSource: source})
	container := &spec.Containers[0]
	container.VolumeMounts = append(container.VolumeMounts, at)
}

// mountedSecrets is the inverse of mountSecrets: the names of the secrets.
func mountedSecrets(spec *corev1.PodSpec) []string {
	var names []string
	for _, reference := range spec.ImagePullSecrets {
		names = append(names, reference.Name)
	}
	for _, volume := range spec.Volumes {
		if volume.Name != secretsVolume || volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.Secret != nil {
				names = append(names, source.Secret.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
