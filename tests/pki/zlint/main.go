// SPDX-License-Identifier: Apache-2.0

// Command zlint judges X.509 certificates by ZLint's lints:
//
//	zlint sources
//	zlint judge SOURCE[,SOURCE...] FILE...
//
// Each FILE is one certificate in PEM, each SOURCE a document that lints cite, as
// ZLint calls it (RFC5280). The former prints how many lints cite which source, the
// latter an object with an entry a file, which maps the names of the lints that apply
// to what they found; both as JSON.
package main

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

type finding struct {
	Source  lint.LintSource `json:"source"`
	Result  lint.LintStatus `json:"result"`
	Details string          `json:"details,omitempty"`
}

func lintsOf(words string) (lint.Registry, error) {
	var sources lint.SourceList
	if err := sources.FromString(words); err != nil {
		return nil, err
	}
	return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: sources})
}

func read(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("%s is not one certificate in PEM", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

func judge(cert *x509.Certificate, lints lint.Registry) map[string]finding {
	found := map[string]finding{}
	for name, result := range zlint.LintCertificateEx(cert, lints).Results {
		if result.Status == lint.NA || result.Status == lint.NE {
			continue
		}
		found[name] = finding{lints.CertificateLints().ByName(name).Source, result.Status,
			result.Details}
	}
	return found
}

func sources() map[lint.LintSource]int {
	count := map[lint.LintSource]int{}
	for _, l := range lint.GlobalRegistry().CertificateLints().Lints() {
		count[l.Source]++
	}
	return count
}

func judgeAll(words string, paths []string) (map[string]map[string]finding, error) {
	lints, err := lintsOf(words)
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]finding{}
	for _, path := range paths {
		cert, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[path] = judge(cert, lints)
	}
	return all, nil
}

func run(args []string) error {
	out := json.NewEncoder(os.Stdout)
	switch {
	case len(args) == 1 && args[0] == "sources":
		return out.Encode(sources())
	case len(args) > 2 && args[0] == "judge":
		all, err := judgeAll(args[1], args[2:])
		if err != nil {
			return err
		}
		return out.Encode(all)
	}
	return errors.New("usage: zlint sources | zlint judge SOURCE[,SOURCE...] FILE...")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "zlint:", err)
		os.Exit(1)
	}
}
