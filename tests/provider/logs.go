// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openfaas/faas-provider/logs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// logHistory is what a request gets that sets no bound itself.
	logHistory = 5 * time.Minute
	// logLine is the longest line passed on; a longer one ends the stream of
	// its pod.
	logLine = 1 << 20
	// logBuffer lets pods run ahead of a client that reads slowly.
	logBuffer = 100
)

// logsRoute checks what the handler of the SDK does not: a function that does
// not exist would be answered with a status of 500 there.
func (p *provider) logsRoute(stream http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := p.function(r.Context(), r.URL.Query().Get("name")); err != nil {
			return err
		}
		stream(w, r)
		return nil
	}
}

// logStreamer reads the logs of functions from their pods.
type logStreamer struct {
	namespace string
	pods      typedcorev1.PodInterface
	watch     *podWatch
	// stop ends streams that would keep the server from shutting down.
	stop <-chan struct{}
}

// Query starts to stream what the request asks for. The channel is closed
// when there is no more, which with "follow" is when ctx is done.
func (l *logStreamer) Query(ctx context.Context, request logs.Request) (<-chan logs.Message, error) {
	s := &logStream{
		streamer: l,
		request:  request,
		options:  logOptions(request, time.Now()),
		out:      make(chan logs.Message, logBuffer),
		seen:     map[string]bool{},
	}
	go func() {
		defer close(s.out)
		if request.Follow {
			s.follow(ctx)
		} else {
			s.once(ctx)
		}
	}()
	return s.out, nil
}

// logOptions translates a request for the Kubernetes API.
func logOptions(request logs.Request, now time.Time) corev1.PodLogOptions {
	options := corev1.PodLogOptions{
		Container:  request.Name,
		Follow:     request.Follow,
		Timestamps: true,
	}
	if request.Tail > 0 {
		tail := int64(request.Tail)
		options.TailLines = &tail
	}
	switch {
	case request.Since != nil:
		options.SinceTime = &metav1.Time{Time: *request.Since}
	case request.Tail <= 0:
		options.SinceTime = &metav1.Time{Time: now.Add(-logHistory)}
	}
	return options
}

// logStream is one request under way.
type logStream struct {
	streamer *logStreamer
	request  logs.Request
	options  corev1.PodLogOptions
	out      chan logs.Message

	mutex   sync.Mutex
	seen    map[string]bool
	closed  bool
	readers sync.WaitGroup
}

// once streams what the pods of now have logged until now.
func (s *logStream) once(ctx context.Context) {
	for _, pod := range s.streamer.watch.of(s.request.Name) {
		s.offer(ctx, pod)
	}
	s.finish()
}

// follow streams from every pod the function has now or gets later.
func (s *logStream) follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	informer := s.streamer.watch.informer
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { s.offer(ctx, object) },
		UpdateFunc: func(_, object any) { s.offer(ctx, object) },
	})
	if err != nil {
		log.Printf("cannot follow the pods of %s: %v", s.request.Name, err)
		return
	}
	select {
	case <-ctx.Done():
	case <-s.streamer.stop:
	}
	_ = informer.RemoveEventHandler(registration)
	cancel()
	s.finish()
}

// finish waits for the readers. An event may still be on its way, and must
// not start another one.
func (s *logStream) finish() {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.readers.Wait()
}

// offer starts a reader for a container that has begun to run and has none
// yet. A container that was restarted counts as another one.
func (s *logStream) offer(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || !s.wants(pod) {
		return
	}
	id := startedContainer(pod, s.request.Name)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if id == "" || s.closed || s.seen[id] {
		return
	}
	s.seen[id] = true
	s.readers.Go(func() { s.read(ctx, pod.Name) })
}

func (s *logStream) wants(pod *corev1.Pod) bool {
	return pod.Labels[functionLabel] == s.request.Name &&
		(s.request.Instance == "" || s.request.Instance == pod.Name)
}

// startedContainer returns the id of a container that has logs, or "".
func startedContainer(pod *corev1.Pod, name string) string {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == name && (status.State.Running != nil || status.State.Terminated != nil) {
			return status.ContainerID
		}
	}
	return ""
}

// read passes on the log of one pod.
func (s *logStream) read(ctx context.Context, pod string) {
	body, err := s.streamer.pods.GetLogs(pod, &s.options).Stream(ctx)
	if err == nil {
		defer body.Close()
		err = s.copyLines(ctx, pod, body)
	}
	if err != nil && ctx.Err() == nil {
		log.Printf("cannot read the log of %s: %v", pod, err)
	}
}

func (s *logStream) copyLines(ctx context.Context, pod string, body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, logLine)
	for lines.Scan() {
		message := parseLine(lines.Text())
		message.Name = s.request.Name
		message.Namespace = s.streamer.namespace
		message.Instance = pod
		select {
		case s.out <- message:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return lines.Err()
}

// parseLine splits the time off that Kubernetes put before the text.
func parseLine(line string) logs.Message {
	stamp, text, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return logs.Message{Text: line}
	}
	return logs.Message{Timestamp: at, Text: text}
}
