#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a cluster's cost grows with its workers: time to Ready, memory, inotify.

usage: scale.py MKCLUSTER [WORKERS...]     (1 5 10 20)

A step that waits in a line shows as a time that grows with the nodes faster than
their own start does. Sizes that the host's inotify instances cannot hold are
skipped, and said.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

NAME = f"scale-{int(time.time()) % 100000}"


def run(*args, check=True):
    return subprocess.run([str(a) for a in args], check=check, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def cgroup_rss(container):
    """Resident memory without page cache, MiB: v1's total_rss, v2's anon."""
    out = run("docker", "exec", container, "sh", "-c",
              "cat /sys/fs/cgroup/memory/memory.stat /sys/fs/cgroup/memory.stat 2>/dev/null",
              check=False).stdout
    match = re.search(r"^(?:total_rss|anon) (\d+)", out, re.M)
    return int(match.group(1)) / 2**20 if match else 0


def step_times(progress):
    """Seconds of each step, from the lines that create prints."""
    return {m.group(1).strip(): float(m.group(2))
            for m in re.finditer(r"^✓ (.+?)\s+([0-9.]+)s", progress, re.M)}


def measure(mkcluster, workers, folder):
    start = time.monotonic()
    made = run(mkcluster, "create", "--name", NAME, "--workers", workers, "--no-openfaas",
               "--kubeconfig", folder / "kubeconfig", "--timeout", "10m", check=False)
    seconds = time.monotonic() - start
    if made.returncode == 3:
        return None, made.stderr.splitlines()[-1].strip()
    if made.returncode != 0:
        sys.exit(made.stderr)
    nodes = json.loads(run(mkcluster, "get", "nodes", "--name", NAME, "-o", "json").stdout)
    memory = {n["name"]: cgroup_rss(n["name"]) for n in nodes}
    start = time.monotonic()
    run(mkcluster, "delete", "--name", NAME, "--kubeconfig", folder / "kubeconfig")
    return {"workers": workers, "create": seconds, "steps": step_times(made.stderr),
            "memory": sum(memory.values()),
            "worker": sum(m for n, m in memory.items() if "worker" in n) / workers,
            "delete": time.monotonic() - start}, None


def main():
    mkcluster = pathlib.Path(sys.argv[1]).resolve()
    sizes = [int(a) for a in sys.argv[2:]] or [1, 5, 10, 20]
    rows = []
    print("workers  create  start   API  nodes  memory  a worker  delete", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for workers in sizes:
            try:
                row, skipped = measure(mkcluster, workers, pathlib.Path(folder))
            finally:
                run(mkcluster, "delete", "--name", NAME, check=False)
            if skipped:
                print(f"{workers:7d}  skipped: {skipped}", flush=True)
                continue
            rows.append(row)
            steps = row["steps"]
            print(f"{workers:7d} {row['create']:6.1f}s {steps.get('Starting the nodes', 0):5.1f}s"
                  f" {steps.get('Waiting for the API server', 0):4.1f}s"
                  f" {steps.get('Waiting for the nodes', 0):5.1f}s {row['memory']:5.0f}Mi"
                  f" {row['worker']:7.0f}Mi {row['delete']:6.1f}s", flush=True)
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        more = last["workers"] - first["workers"]
        print(f"slope: {(last['create'] - first['create']) / more:.2f} s and "
              f"{(last['memory'] - first['memory']) / more:.0f} MiB a worker")


if __name__ == "__main__":
    main()
