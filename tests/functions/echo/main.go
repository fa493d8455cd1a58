// SPDX-License-Identifier: Apache-2.0

// Command echo is an OpenFaaS function for tests. It needs no watchdog: it
// listens where the watchdog would and answers its health checks itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	address = ":8080"
	// sleepHeader makes a request take as long as it says, so that a test can
	// have calls under way while something else happens.
	sleepHeader = "X-Sleep-Ms"
	longestNap  = 30 * time.Second
	// drainTime is how long calls under way may take to end at shutdown. It is
	// a little less than what Kubernetes grants.
	drainTime = 25 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hostname, err := os.Hostname()
	if err != nil {
		log.Fatalf("echo: cannot get the host's name: %v", err)
	}
	server := &http.Server{
		Addr:              address,
		Handler:           routes(hostname),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if err := serve(ctx, server); err != nil {
		log.Fatalf("echo: %v", err)
	}
}

// serve answers until ctx is done, and then lets calls under way end.
func serve(ctx context.Context, server *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("calls were cut off at shutdown: %w", err)
	}
	return nil
}

func routes(hostname string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_/health", ok)
	mux.HandleFunc("/_/ready", ok)
	mux.HandleFunc("GET /{$}", nap(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "Hello from %s\n", hostname)
	}))
	mux.HandleFunc("POST /{$}", nap(echo))
	return mux
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
}

// echo sends the body back as it arrives, so that its size does not matter.
func echo(w http.ResponseWriter, r *http.Request) {
	// Without this the server reads no more once the answer has begun. It
	// fails only for protocols that never need it.
	_ = http.NewResponseController(w).EnableFullDuplex()
	if kind := r.Header.Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	if _, err := io.Copy(w, r.Body); err != nil {
		log.Printf("echo: the body was not echoed whole: %v", err)
	}
}

// nap waits before next as long as the request's header says.
func nap(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		length, err := napLength(r.Header.Get(sleepHeader))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(length):
			next(w, r)
		case <-r.Context().Done():
			log.Print("echo: the caller left while the function slept")
		}
	}
}

// napLength reads the header's value, in milliseconds; longer naps than the
// longest are cut.
func napLength(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	milliseconds, err := strconv.ParseUint(value, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		return longestNap, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number of milliseconds", sleepHeader, value)
	}
	return min(time.Duration(milliseconds)*time.Millisecond, longestNap), nil
}
