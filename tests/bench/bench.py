#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure create and delete on this machine, when it is idle.

usage: bench.py MKCLUSTER [RUNS [IMAGE]]

Times are from typing the command: to the node being Ready and to the gateway
answering (both seen from outside, by asking), to the end of the command, and of
delete. Bytes written are those of the disk that holds the engine's data, with a
sync on both sides; whatever else runs counts too. `nothing` is a container of
the same image that does nothing, as a measure of the machine: compare runs by
their ratio to it."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

MKCLUSTER = sys.argv[1]
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
IMAGE = sys.argv[3] if len(sys.argv) > 3 else "mkcluster/node:v1.36.3"
NAME = f"bench-{os.getpid()}"


def call(*args, **options):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def disk_of(path):
    device = os.stat(path).st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def sectors_written(disk):
    call("sync")
    fields = pathlib.Path(f"/sys/dev/block/{disk}/stat").read_text().split()
    return int(fields[6])


def first_ready(line_seen, started, times):
    """Note when the tool says that a step has ended."""
    titles = {"Waiting for the node": "ready", "Waiting for DNS": "dns"}
    for title, key in titles.items():
        if title in line_seen:
            times[key] = time.monotonic() - started


def watch_gateway(port, started, times, stop):
    while not stop.is_set():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
                if answer.status == 200:
                    times["gateway"] = time.monotonic() - started
                    return
        except OSError:
            time.sleep(0.02)


def one_run(env, disk):
    times, stop = {}, threading.Event()
    before = sectors_written(disk)
    started = time.monotonic()
    process = subprocess.Popen([MKCLUSTER, "create", "--name", NAME, "--image", IMAGE], env=env,
                               stderr=subprocess.PIPE, text=True)
    watcher = threading.Thread(target=watch_gateway, args=(31112, started, times, stop))
    watcher.start()
    for line in process.stderr:
        first_ready(line, started, times)
    status = process.wait()
    times["create"] = time.monotonic() - started
    stop.set()
    watcher.join()
    if status != 0:
        sys.exit(f"create failed with {status}")
    times["written_mb"] = (sectors_written(disk) - before) * 512 / 1e6
    started = time.monotonic()
    call(MKCLUSTER, "delete", "--name", NAME, env=env, stderr=subprocess.DEVNULL)
    times["delete"] = time.monotonic() - started
    started = time.monotonic()
    call("docker", "run", "--rm", "--entrypoint", "/bin/true", IMAGE)
    times["nothing"] = time.monotonic() - started
    return times


def main():
    root = json.loads(call("docker", "info", "--format", "{{json .DockerRootDir}}"))
    size = int(call("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE))
    disk = disk_of(root)
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home, KUBECONFIG=f"{home}/config")
        runs = [one_run(env, disk) for _ in range(RUNS)]
    keys = ["nothing", "ready", "dns", "gateway", "create", "delete", "written_mb"]
    print(f"{'':12} {'median':>8} {'best':>8} {'worst':>8}   x nothing")
    for key in keys:
        values = sorted(r[key] for r in runs if key in r)
        if not values:
            continue
        middle = statistics.median(values)
        ratio = middle / statistics.median(r["nothing"] for r in runs)
        shown = "" if key == "written_mb" else f"{ratio:9.1f}"
        print(f"{key:12} {middle:8.2f} {values[0]:8.2f} {values[-1]:8.2f}   {shown}")
    print(f"image        {size / 1e6:8.0f} MB, {RUNS} runs, {os.cpu_count()} cores")


main()
