#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each header compiles by itself, included first and twice, and guards itself by its name.

usage: headers.py COMPILER [FLAG...]
"""
import concurrent.futures
import os
import re
import subprocess
import sys

from report import ROOT, Report, read, sources

COMPILE = ["-std=gnu17", "-D_GNU_SOURCE", "-I.", "-Wall", "-Wextra", "-Wmissing-prototypes",
           "-Wstrict-prototypes", "-Wundef", "-Wshadow", "-Wno-unused-function", "-Werror",
           "-fsyntax-only", "-x", "c", "-"]
# Written to be included by one kind of file only.
EXCEPTIONS = {
    "tests/unit/test-fetch-world.h": "-Wno-unused-variable",
    "tests/unit/userconfig-folder.h": "-Wno-unused-variable",
    "tests/unit/test-docker-world.h": "-Wno-unused-variable",
    "tests/unit/test-node-world.h": "-Wno-unused-variable",
}


def compile_alone(compiler, path):
    more = [EXCEPTIONS[path.as_posix()]] if path.as_posix() in EXCEPTIONS else []
    source = f'#include "{path}"\n#include "{path}"\n'
    done = subprocess.run(compiler + more + COMPILE, input=source, cwd=ROOT, text=True,
                          capture_output=True)
    return path, done.returncode == 0, done.stderr.strip()


def check_guard(report, path):
    text = read(path)
    guards = re.findall(r"^#ifndef (MK_[A-Z0-9_]+)\n#define \1$", text, re.M)
    if not report.check(guards, path, 1, "no include guard"):
        return
    stem = re.sub(r"[^A-Z0-9]", "_", path.stem.upper())
    report.check(guards[0].endswith(stem + "_H"), path, 1,
                 f"the guard {guards[0]} does not name the file")


def main():
    compiler = sys.argv[1:] or ["cc"]
    report = Report()
    headers = sources("*.h")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, good, words in pool.map(lambda p: compile_alone(compiler, p), headers):
            report.check(good, path, 1, f"does not compile alone:\n{words}")
    for path in headers:
        check_guard(report, path)
    report.exit()


main()
