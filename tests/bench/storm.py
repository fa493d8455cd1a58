#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The restart storm: restart all of a cluster's containers, again and again.

usage: storm.py [--rounds N] [--ha-rounds N] [--seed SEED]

Each round restarts them in a random order, one after another or all at once, and
then leaves the cluster to itself. Within 60 s every kubelet must have reported
since and every node be Ready; then a function must answer through the gateway,
every member of etcd be healthy, and what a pod wrote on its volume be there:
that of every round so far. 20 rounds on a control plane and a worker, 3 on three
control planes and a worker; the exit status is not 0 when something did not come
back, and it is named. The seed is printed: with it the same storm blows again.

The end-to-end tests run a few rounds of it on the clusters that they have."""
import argparse
import json
import pathlib
import random
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import cluster  # noqa: E402
from cluster import Place, docker, http, run, wait_for  # noqa: E402

READY_SECONDS = 60
REST_SECONDS = 60  # for what runs on the nodes, once they are Ready
STEPS = ("restart", "ready", "function", "etcd", "data")
PROBE = f"example.local/probe:storm-{cluster.SUFFIX}"
ECHO = f"example.local/echo:storm-{cluster.SUFFIX}"


def keeper(image, claim):
    """A pod with a volume: of the default StorageClass, or else a folder of its node."""
    volume = {"name": "data", "hostPath": {"path": "/var/storm", "type": "DirectoryOrCreate"}}
    spec = {
        "serviceName": "keeper", "selector": {"matchLabels": {"app": "keeper"}},
        "template": {
            "metadata": {"labels": {"app": "keeper"}},
            "spec": {"terminationGracePeriodSeconds": 1,
                     "volumes": [] if claim else [volume],
                     "containers": [{"name": "keeper", "image": image, "args": ["serve"],
                                     "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}}
    if claim:
        spec["volumeClaimTemplates"] = [{
            "metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "keeper"},
            "spec": spec}


class Storm:
    """Rounds on a cluster in which function `function` echoes and image `probe` is."""

    def __init__(self, place, seed, function="echo", probe=PROBE):
        self.place = place
        self.random = random.Random(seed)
        self.function = function
        self.probe = probe
        self.written = {}  # file -> word
        listed = json.loads(place.mkcluster("get", "nodes", "--name", place.name, "--output",
                                            "json").stdout)
        self.nodes = sorted(n["name"] for n in listed if n["role"] in ("control-plane", "worker"))
        self.planes = sorted(n["name"] for n in listed if n["role"] == "control-plane")
        self.gateway = place.gateway()

    # -- what must come back

    def kubectl_json(self, *args):
        return json.loads(self.place.kubectl("get", *args, "-o", "json", timeout=20).stdout)["items"]

    def started(self):
        """When each node's container was last started."""
        states = json.loads(docker("inspect", *self.nodes))
        return {s["Name"].lstrip("/"): s["State"]["StartedAt"] for s in states}

    def check_nodes(self, since):
        """Status alone says nothing: it is as it was until somebody notices."""
        leases = {lease["metadata"]["name"]: lease["spec"]["renewTime"]
                  for lease in self.kubectl_json("leases", "-n", "kube-node-lease")}
        silent = [n for n in self.nodes if leases.get(n, "")[:23] < since[n][:23]]
        assert not silent, f"no word from {', '.join(silent)}"
        ready = [n["metadata"]["name"] for n in self.kubectl_json("nodes")
                 for c in n["status"]["conditions"] if (c["type"], c["status"]) == ("Ready", "True")]
        missing = sorted(set(self.nodes) - set(ready))
        assert not missing, f"not Ready: {', '.join(missing)}"
        return True

    def check_function(self, word):
        status, body = http(f"{self.gateway}/function/{self.function}", data=word.encode())
        assert (status, body) == (200, word.encode()), f"status {status}: {body[:200]}"
        return True

    def check_etcd(self):
        node = self.planes[0]
        members = json.loads(docker("exec", node, *cluster.ETCDCTL, "member", "list", "-w", "json"))
        names = sorted(m.get("name", "?") for m in members["members"])
        assert names == self.planes, f"members are {names}"
        health = json.loads(run("docker", "exec", node, *cluster.ETCDCTL, "endpoint", "health",
                                "--cluster", "-w", "json", check=False).stdout)
        ill = [e["endpoint"] for e in health if not e["health"]]
        assert len(health) == len(self.planes) and not ill, f"not healthy: {ill or health}"
        return True

    def in_keeper(self, *args):
        return self.place.kubectl("exec", "keeper-0", "--", "/probe", *args, timeout=20).stdout

    def check_data(self):
        for name, word in self.written.items():
            found = self.in_keeper("show", f"/data/{name}")
            assert found == word, f"/data/{name} holds '{found}', not '{word}'"
        return True

    def write(self):
        name, word = f"round-{len(self.written)}", f"{self.random.getrandbits(64):x}"
        self.in_keeper("put", f"/data/{name}", word)
        self.written[name] = word

    # -- the storm

    def prepare(self):
        classes = self.kubectl_json("storageclass")
        default = "storageclass.kubernetes.io/is-default-class"
        claim = any(c["metadata"].get("annotations", {}).get(default) == "true" for c in classes)
        self.place.kubectl("apply", "-f", "-", stdin=json.dumps(keeper(self.probe, claim)))
        wait_for("the function answers", lambda: self.check_function("before"))
        self.place.kubectl("rollout", "status", "statefulset/keeper", "--timeout=60s")
        self.write()
        return "a volume of the default StorageClass" if claim else "a folder of the node"

    def restart(self):
        """All that the cluster is made of, balancer and ports too."""
        label = f"label=io.mkcluster.cluster={self.place.name}"
        names = sorted(docker("ps", "--filter", label, "--format", "{{.Names}}").split())
        self.random.shuffle(names)
        if self.random.random() < 0.5:
            docker("restart", "-t", "1", *names)
            return f"one by one: {self.short(names)}"
        delays = sorted(self.random.uniform(0, 1.5) for _ in names)
        errors = []

        def later(name, delay):
            time.sleep(delay)
            done = run("docker", "restart", "-t", "1", name, check=False)
            if done.returncode != 0:
                errors.append(f"{name}: {done.stderr}")

        threads = [threading.Thread(target=later, args=pair) for pair in zip(names, delays)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, "; ".join(errors)
        return f"at once: {self.short(names)}"

    def short(self, names):
        return ", ".join(name.removeprefix(self.place.name + "-") for name in names)

    def round(self):
        """Returns the seconds of each step, and what was done."""
        times = {}
        start = time.monotonic()

        def lap(step):
            times[step] = time.monotonic() - start - sum(times.values())

        done = self.restart()
        since = self.started()
        lap("restart")
        wait_for("nodes", lambda: self.check_nodes(since), READY_SECONDS)
        lap("ready")
        word = f"{self.random.getrandbits(64):x}"
        wait_for("function", lambda: self.check_function(word), REST_SECONDS)
        lap("function")
        wait_for("etcd", self.check_etcd, REST_SECONDS)
        lap("etcd")
        wait_for("data", self.check_data, REST_SECONDS)
        self.write()
        lap("data")
        return times, done

    def run(self, rounds, say=lambda line: print(line, flush=True)):
        """All rounds; the first thing that does not come back is an AssertionError."""
        every = []
        for number in range(1, rounds + 1):
            try:
                times, done = self.round()
            except AssertionError as error:
                raise AssertionError(f"round {number}: {error}") from None
            every.append(times)
            steps = "  ".join(f"{step} {times[step]:4.1f}" for step in STEPS)
            say(f"round {number:3}: {sum(times.values()):5.1f} s  ({steps})  {done}")
        return every


def summary(every):
    for step in (*STEPS, "whole"):
        values = [sum(t.values()) if step == "whole" else t[step] for t in every]
        print(f"  {step:9} median {statistics.median(values):5.1f} s   worst {max(values):5.1f} s")


def explain(place):
    """What is not as it should be, for whoever reads the log."""
    for args in (("get", "nodes", "-o", "wide"), ("get", "pods", "-A", "-o", "wide")):
        print(run(cluster.TOOLS / "kubectl", "--context", f"mkcluster-{place.name}", *args,
                  env=place.env, check=False).stdout)
    label = f"label=io.mkcluster.cluster={place.name}"
    print(docker("ps", "-a", "--filter", label))


def blow(shape, rounds, seed):
    """One cluster, its rounds; whether all came back."""
    place = Place("storm")
    try:
        print(f"{shape[0]}+{shape[1]}, {rounds} rounds, seed {seed}", flush=True)
        place.create("--control-planes", shape[0], "--workers", shape[1])
        place.mkcluster("load", "image", PROBE, "--name", place.name)
        place.load_function(ECHO)
        place.faas("login", "--password-stdin", stdin=place.password())
        place.faas("deploy", "--image", ECHO, "--name", "echo")
        storm = Storm(place, seed)
        print(f"  data on {storm.prepare()}", flush=True)
        try:
            summary(storm.run(rounds))
            return True
        except AssertionError as error:
            print(f"NOT BACK: {error}", flush=True)
            explain(place)
            return False
    finally:
        place.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20, help="on a control plane and a worker")
    parser.add_argument("--ha-rounds", type=int, default=3, help="on three and a worker")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    cluster.host_tools()
    cluster.build_probe(PROBE)
    try:
        good = [blow(shape, rounds, options.seed)
                for shape, rounds in (((1, 1), options.rounds), ((3, 1), options.ha_rounds))
                if rounds > 0]
    finally:
        run("docker", "rmi", PROBE, ECHO, check=False)
    print("all came back" if all(good) else "NOT all came back")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
