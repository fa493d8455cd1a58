// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
)

// byFunction is the index of pods by the name of their function.
const byFunction = "function"

// podWatch keeps the pods of all functions at hand.
//
// Calls are routed by pods and not by endpoints: a pod is seen ready before
// the Deployment counts it as available, so that a client that waits for the
// count can call at once.
type podWatch struct {
	informer cache.SharedIndexInformer
}

func newPodWatch(pods typedcorev1.PodInterface) *podWatch {
	informer := cache.NewSharedIndexInformer(functionPods(pods), &corev1.Pod{}, 0,
		cache.Indexers{byFunction: functionOfPod})
	// It fails only on an informer that runs already.
	_ = informer.SetTransform(dropManagedFields)
	return &podWatch{informer: informer}
}

// dropManagedFields halves the memory a pod takes in the store.
func dropManagedFields(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return object, nil
}

// functionPods lists and watches the pods that belong to any function.
func functionPods(pods typedcorev1.PodInterface) cache.ListerWatcher {
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = functionLabel
			return pods.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = functionLabel
			return pods.Watch(ctx, options)
		},
	}
	return cache.ToListWatcherWithWatchListSemantics(listWatch, pods)
}

func functionOfPod(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	return []string{pod.Labels[functionLabel]}, nil
}

// run follows the pods until ctx is done.
func (w *podWatch) run(ctx context.Context) {
	w.informer.RunWithContext(ctx)
}

func (w *podWatch) synced() bool {
	return w.informer.HasSynced()
}

// of returns the pods of a function, ordered by name.
func (w *podWatch) of(function string) []*corev1.Pod {
	// It fails only for an index that does not exist.
	objects, _ := w.informer.GetIndexer().ByIndex(byFunction, function)
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		pods = append(pods, object.(*corev1.Pod))
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

// isReady tells if a pod takes calls. One that is being deleted may still be
// ready, but is about to close its port.
func isReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" {
		return false
	}
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
