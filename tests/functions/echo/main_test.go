// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestAnswers(t *testing.T) {
	server := httptest.NewServer(routes("host-1"))
	defer server.Close()
	for _, c := range []struct {
		name, method, path, body, sleep string
		status                          int
		want                            string
	}{
		{"health", "GET", "/_/health", "", "", 200, ""},
		{"ready", "GET", "/_/ready", "", "", 200, ""},
		{"greeting", "GET", "/", "", "", 200, "Hello from host-1\n"},
		{"query is ignored", "GET", "/?env=HOME", "", "", 200, "Hello from host-1\n"},
		{"echo", "POST", "/", "one\ntwo", "", 200, "one\ntwo"},
		{"empty echo", "POST", "/", "", "", 200, ""},
		{"sleep", "POST", "/", "late", "1", 200, "late"},
		{"sleep of no number", "POST", "/", "x", "soon", 400, "X-Sleep-Ms: \"soon\" is not a number of milliseconds\n"},
		{"other path", "GET", "/other", "", "", 404, "404 page not found\n"},
		{"other method", "DELETE", "/", "", "", 405, "Method Not Allowed\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequest(c.method, server.URL+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.sleep != "" {
				request.Header.Set(sleepHeader, c.sleep)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || string(body) != c.want {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, body, c.status, c.want)
			}
		})
	}
}

// TestEchoStreams has the client wait for the first part of the answer before
// it sends the second part of the request, far beyond any buffer.
func TestEchoStreams(t *testing.T) {
	server := httptest.NewServer(routes("host-1"))
	defer server.Close()
	reader, writer := io.Pipe()
	const part = 1 << 20
	go writer.Write(make([]byte, part))

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, reader)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	// The last bytes of a part may wait in the server's buffer for more.
	if _, err := io.CopyN(io.Discard, response.Body, part/2); err != nil {
		t.Fatalf("first part: %v", err)
	}
	go func() {
		writer.Write(make([]byte, part))
		writer.Close()
	}()
	if rest, err := io.Copy(io.Discard, response.Body); err != nil || rest != part+part/2 {
		t.Errorf("rest: got %d bytes and error %v", rest, err)
	}
}

func TestEchoSurvivesBrokenBody(t *testing.T) {
	request := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(io.ErrUnexpectedEOF))
	routes("host-1").ServeHTTP(httptest.NewRecorder(), request)
}

func TestNapLength(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"250":                  250 * time.Millisecond,
		"30001":                longestNap,
		"99999999999999999999": longestNap,
	} {
		if got, err := napLength(value); err != nil || got != want {
			t.Errorf("napLength(%q) = %v, %v; want %v", value, got, err, want)
		}
	}
	for _, value := range []string{"-1", "1.5", "1s"} {
		if _, err := napLength(value); err == nil {
			t.Errorf("napLength(%q) was accepted", value)
		}
	}
}

func TestServeStopsGracefully(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, &http.Server{Addr: "127.0.0.1:0"}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("serve: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("serve did not end")
	}
}
