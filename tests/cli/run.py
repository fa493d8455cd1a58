#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cli suite: run.py BINARY [PATTERN]

Runs the tests of this folder against BINARY, several at a time, each in a process
that is killed when it takes too long. PATTERN chooses by part of a test's name, or
with * and ?. The last line is "N passed, N failed".
"""

import fnmatch
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import sys
import time
import traceback
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

SOFT_TIMEOUT = 60  # seconds: the test is stopped with a traceback
HARD_TIMEOUT = 75  # its process is killed


class TooLong(Exception):
    pass


def on_alarm(_number, _frame):
    raise TooLong(f"the test took longer than {SOFT_TIMEOUT} s")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def load():
    loader = unittest.TestLoader()
    suite = loader.discover(str(HERE), pattern="test_*.py", top_level_dir=str(HERE.parent))
    if loader.errors:
        sys.exit("\n".join(loader.errors))
    return {test.id(): test for test in flatten(suite)}


def run_one(test):
    """Returns (outcome, text): outcome is passed, failed, error or skipped."""
    result = unittest.TestResult()
    signal.alarm(SOFT_TIMEOUT)
    try:
        test.run(result)
    finally:
        signal.alarm(0)
    if result.errors:
        return "error", "\n".join(text for _, text in result.errors + result.failures)
    if result.failures:
        return "failed", "\n".join(text for _, text in result.failures)
    if result.skipped:
        return "skipped", result.skipped[0][1]
    return "passed", ""


def work(pipe, tests, slot):
    """A worker: takes names until it is given None."""
    os.environ["CLI_SLOT"] = str(slot)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        name = pipe.recv()
        if name is None:
            return
        try:
            answer = run_one(tests[name])
        except BaseException:  # pylint: disable=broad-except
            answer = "error", traceback.format_exc()
        pipe.send(answer)


class Worker:
    def __init__(self, tests, slot):
        self.tests = tests
        self.slot = slot
        self.name = None
        self.started = 0
        self.start()

    def start(self):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=work, daemon=True,
                                               args=(theirs, self.tests, self.slot))
        self.process.start()
        theirs.close()

    def give(self, name):
        self.name = name
        self.started = time.monotonic()
        self.pipe.send(name)

    def result(self):
        """The result of the test it was given, or None while it runs."""
        answer = None
        if self.pipe.poll():
            try:
                answer = self.pipe.recv()
            except EOFError:
                answer = "error", "the test's process died"
                self.start()
        elif time.monotonic() - self.started > HARD_TIMEOUT:
            self.process.kill()
            self.process.join()
            self.start()
            answer = "error", f"killed after {HARD_TIMEOUT} s"
        if answer:
            self.name = None
        return answer


def run_all(tests, names, jobs):
    """Yields (name, outcome, text, seconds) as tests end."""
    waiting = list(names)
    workers = [Worker(tests, slot) for slot in range(min(jobs, len(waiting)))]
    running = 0
    while waiting or running:
        for worker in workers:
            if worker.name is None and waiting:
                worker.give(waiting.pop(0))
                running += 1
        multiprocessing.connection.wait([w.pipe for w in workers if w.name], timeout=1)
        for worker in workers:
            name = worker.name
            answer = worker.result() if name else None
            if answer:
                running -= 1
                yield (name, *answer, time.monotonic() - worker.started)
    for worker in workers:
        worker.pipe.send(None)
    for worker in workers:
        worker.process.join(5)


def choose(tests, pattern):
    if not pattern:
        return list(tests)
    if not set("*?[") & set(pattern):
        pattern = f"*{pattern}*"
    return [name for name in tests if fnmatch.fnmatchcase(name, pattern)]


def report(counts, seconds):
    total = sum(counts.values())
    print("-" * 70)
    print(f"Ran {total} tests in {seconds:.3f}s\n")
    parts = [f"{label}={counts[key]}" for key, label in
             (("failed", "failures"), ("error", "errors"), ("skipped", "skipped"))
             if counts[key]]
    bad = counts["failed"] + counts["error"]
    word = "FAILED" if bad or total == 0 else "OK"
    print(word + (f" ({', '.join(parts)})" if parts else ""))
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {bad} failed{skipped}", flush=True)
    return 1 if word == "FAILED" else 0


def main(argv):
    if len(argv) not in (2, 3) or not os.access(argv[1], os.X_OK):
        sys.exit(__doc__)
    os.environ["MKCLUSTER_BINARY"] = os.path.abspath(argv[1])
    tests = load()
    names = choose(tests, argv[2] if len(argv) == 3 else None)
    # The tests mostly wait: more of them than there are processors.
    jobs = int(os.environ.get("CLI_JOBS", 3 * (os.cpu_count() or 1)))
    counts = dict.fromkeys(("passed", "failed", "error", "skipped"), 0)
    start = time.monotonic()
    for name, outcome, text, seconds in run_all(tests, names, jobs):
        counts[outcome] += 1
        print(f"{outcome:7} {seconds:5.1f}s {name}", flush=True)
        if outcome in ("failed", "error"):
            print("=" * 70 + f"\n{name}\n{text}", flush=True)
    return report(counts, time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
