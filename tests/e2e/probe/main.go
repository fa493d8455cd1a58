// SPDX-License-Identifier: Apache-2.0

// Command probe is what the end-to-end tests run inside pods: it looks up names,
// gets URLs, serves one HTTP answer that tells the caller's address, writes and
// reads files, and burns CPU.
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

func put(file, text string) error {
	return os.WriteFile(file, []byte(text), 0o600)
}

func show(file string) error {
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	return err
}

func burn() {
	for {
	}
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
	case len(os.Args) == 4 && os.Args[1] == "put":
		err = put(os.Args[2], os.Args[3])
	case len(os.Args) == 3 && os.Args[1] == "show":
		err = show(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "burn":
		burn()
	default:
		err = fmt.Errorf("usage: probe resolve NAME... | get URL | serve | put FILE TEXT | " +
			"show FILE | burn")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
