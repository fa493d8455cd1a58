// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxBody bounds a request to the system API. The largest useful one carries
// a secret of 1 MiB, the most Kubernetes stores, in base64.
const maxBody = 2 << 20

// httpError is an error that knows the status of its answer.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// statusOf finds the status for an error: its own, or the one that tells best
// what the Kubernetes API answered.
func statusOf(err error) int {
	if own := (*httpError)(nil); errors.As(err, &own) {
		return own.status
	}
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonNotFound, metav1.StatusReasonGone:
		return http.StatusNotFound
	case metav1.StatusReasonAlreadyExists, metav1.StatusReasonConflict:
		return http.StatusConflict
	case metav1.StatusReasonInvalid:
		return http.StatusUnprocessableEntity
	case metav1.StatusReasonBadRequest:
		return http.StatusBadRequest
	case metav1.StatusReasonForbidden:
		return http.StatusForbidden
	default:
		return http.StatusInternalServerError
	}
}

// writeError answers with err. Failures of the cluster are logged too; what
// the client did wrong is for the client alone.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	if status >= http.StatusInternalServerError {
		log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	http.Error(w, err.Error(), status)
}

// readJSON decodes the body of a request into v.
func readJSON(r *http.Request, v any) error {
	err := json.NewDecoder(r.Body).Decode(v)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &httpError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the request is larger than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return badRequest("cannot parse the request as JSON: %v", err)
	}
	return nil
}

// writeJSON answers with v and status 200.
func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	// Writing fails only if the client has gone, and nobody is left to tell.
	_, _ = w.Write(body)
	return nil
}

// accepted answers a change that the cluster carries out from here on.
func accepted(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusAccepted)
	return nil
}
