// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openfaas/faas-provider/logs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLogOptions(t *testing.T) {
	now := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	since := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		request logs.Request
		tail    int64
		since   time.Time
	}{
		"no bound":       {logs.Request{}, 0, now.Add(-logHistory)},
		"tail":           {logs.Request{Tail: 7}, 7, time.Time{}},
		"since":          {logs.Request{Since: &since}, 0, since},
		"tail and since": {logs.Request{Tail: 7, Since: &since}, 7, since},
		"negative tail":  {logs.Request{Tail: -1}, 0, now.Add(-logHistory)},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Name, c.request.Follow = "echo", true
			options := logOptions(c.request, now)
			if options.Container != "echo" || !options.Follow || !options.Timestamps {
				t.Errorf("options: %+v", options)
			}
			if tail := options.TailLines; (tail == nil) != (c.tail == 0) || tail != nil && *tail != c.tail {
				t.Errorf("tail: %v, want %d", tail, c.tail)
			}
			if since := options.SinceTime; (since == nil) != c.since.IsZero() || since != nil && !since.Time.Equal(c.since) {
				t.Errorf("since: %v, want %v", since, c.since)
			}
		})
	}
}

func TestParseLine(t *testing.T) {
	at := time.Date(2024, 1, 1, 12, 0, 0, 5, time.UTC)
	for line, want := range map[string]logs.Message{
		"2024-01-01T12:00:00.000000005Z hello  you": {Timestamp: at, Text: "hello  you"},
		"2024-01-01T12:00:00.000000005Z ":           {Timestamp: at},
		"2024-01-01T12:00:00.000000005Z":            {Timestamp: at},
		"no time here":                              {Text: "no time here"},
		"":                                          {},
	} {
		if got := parseLine(line); got != want {
			t.Errorf("%q: got %+v, want %+v", line, got, want)
		}
	}
}

// withPods is a bench with the function "echo", two replicas of it and one
// whose container has not started.
func withPods(t *testing.T) *bench {
	waiting := newPod("echo", "echo-3", "")
	waiting.Status.ContainerStatuses[0].State = corev1.ContainerState{}
	b := deployed(t, newPod("echo", "echo-1", ""), newPod("echo", "echo-2", ""), waiting, newPod("other", "other-1", ""))
	b.runWatch(t)
	return b
}

func TestLogsOfAllReplicas(t *testing.T) {
	b := withPods(t)
	for query, want := range map[string][]string{
		"name=echo":                            {"echo-1", "echo-2"},
		"name=echo&instance=echo-2":            {"echo-2"},
		"name=echo&instance=other-1":           nil,
		"name=echo&tail=5":                     {"echo-1", "echo-2"},
		"name=echo&follow=0&since=":            {"echo-1", "echo-2"},
		"name=echo&instance=echo-3":            nil,
		"name=echo&namespace=" + testNamespace: {"echo-1", "echo-2"},
	} {
		var got []string
		answer := json.NewDecoder(strings.NewReader(b.call(t, "GET", "/system/logs?"+query, "", 200)))
		for answer.More() {
			var message logs.Message
			if err := answer.Decode(&message); err != nil {
				t.Fatal(err)
			}
			if message.Text != "fake logs" || message.Name != "echo" || message.Namespace != testNamespace {
				t.Errorf("%s: message %+v", query, message)
			}
			got = append(got, message.Instance)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: logs of %v, want %v", query, got, want)
		}
	}
}

func TestLogsRefuseRequest(t *testing.T) {
	b := deployed(t)
	for query, status := range map[string]int{
		"":                         400,
		"name=absent":              404,
		"name=echo&tail=few":       422,
		"name=echo&since=tomorrow": 422,
	} {
		b.call(t, "GET", "/system/logs?"+query, "", status)
	}
}

func follow(t *testing.T, b *bench, stop <-chan struct{}) (<-chan logs.Message, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	streamer := &logStreamer{namespace: testNamespace, pods: b.pods, watch: b.watch, stop: stop}
	messages, err := streamer.Query(ctx, logs.Request{Name: "echo", Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	return messages, cancel
}

func next(t *testing.T, messages <-chan logs.Message) string {
	t.Helper()
	select {
	case message := <-messages:
		return message.Instance
	case <-time.After(5 * time.Second):
		t.Fatal("timed out: no message")
		return ""
	}
}

func TestFollowSeesNewReplicas(t *testing.T) {
	b := withPods(t)
	messages, cancel := follow(t, b, nil)
	first := []string{next(t, messages), next(t, messages)}
	if slices.Sort(first); !slices.Equal(first, []string{"echo-1", "echo-2"}) {
		t.Errorf("replicas at the start: %v", first)
	}
	started := newPod("echo", "echo-3", "")
	if _, err := b.pods.Update(t.Context(), started, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, messages); got != "echo-3" {
		t.Errorf("message of %q, want that of the replica that started", got)
	}
	cancel()
	if got := next(t, messages); got != "" {
		t.Errorf("message of %q after the end", got)
	}
}

func TestFollowEndsAtShutdown(t *testing.T) {
	stop := make(chan struct{})
	messages, _ := follow(t, withPods(t), stop)
	next(t, messages)
	next(t, messages)
	close(stop)
	if got := next(t, messages); got != "" {
		t.Errorf("message of %q after the end", got)
	}
}
