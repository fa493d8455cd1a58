// SPDX-License-Identifier: Apache-2.0

// Command provider is a small OpenFaaS provider for Kubernetes. It stands in
// for faas-netes where the genuine image cannot be had: it is built on the
// official provider SDK and answers the same API in the same way, with one
// Deployment and one Service for every function.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	bootstrap "github.com/openfaas/faas-provider"
	"github.com/openfaas/faas-provider/logs"
	"github.com/openfaas/faas-provider/proxy"
	"github.com/openfaas/faas-provider/types"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "",
		"path of a kubeconfig file; empty means the service account of the pod")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		log.Fatalf("provider: %v", err)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, kubeconfig string) error {
	env := environment{}
	config, err := types.ReadConfig{}.Read(env)
	if err != nil {
		return err
	}
	kube, err := newKubeClients(kubeconfig)
	if err != nil {
		return err
	}

	p := newProvider(env.Getenv("function_namespace"), kube)
	go p.watch.run(ctx)

	log.Printf("provider %s: port %d, functions in namespace %s", version, *config.TCPPort, p.namespace)
	bootstrap.Serve(ctx, p.handlers(ctx, config), config)
	return nil
}

// handlers connects the routes of the SDK with the provider.
func (p *provider) handlers(ctx context.Context, config *types.FaaSConfig) *types.FaaSHandlers {
	streams := &logStreamer{namespace: p.namespace, pods: p.pods, watch: p.watch, stop: ctx.Done()}
	// A stream cannot outlive the time the server grants a response.
	streamLogs := logs.NewLogHandlerFunc(streams, config.WriteTimeout)
	return &types.FaaSHandlers{
		FunctionProxy:  proxy.NewHandlerFunc(*config, &resolver{namespace: p.namespace, watch: p.watch}, false),
		FunctionLister: p.system(p.listFunctions),
		FunctionStatus: p.system(p.functionStatus),
		DeployFunction: p.system(p.deploy),
		UpdateFunction: p.system(p.update),
		DeleteFunction: p.system(p.remove),
		ScaleFunction:  p.system(p.scale),
		Secrets:        p.system(p.secretsRoute),
		Logs:           p.system(p.logsRoute(streamLogs)),
		Info:           p.system(p.info),
		ListNamespaces: p.system(p.listNamespaces),
		Health:         p.health,
	}
}
