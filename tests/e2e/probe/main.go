// SPDX-License-Identifier: Apache-2.0

// Command probe is what the end-to-end tests run inside pods: it looks up names,
// gets URLs, and serves one HTTP answer that tells the caller's address.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func resolve(names []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, name := range names {
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s\n", name, strings.Join(addresses, ","))
	}
	return nil
}

func get(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, io.LimitReader(answer.Body, 1<<20))
	return err
}

func serve() error {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "from %s\n", r.RemoteAddr)
	})
	return http.ListenAndServe(":8080", nil)
}

func main() {
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[1] == "resolve":
		err = resolve(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "get":
		err = get(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = serve()
	default:
		err = fmt.Errorf("usage: probe resolve NAME... | probe get URL | probe serve")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
