#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-format 14 would change nothing. Skipped (77) where it is not installed."""
import concurrent.futures
import difflib
import os
import shutil
import subprocess
import sys

from report import ROOT, Report, read, sources

TOOL = "clang-format-14"


def formatted(path):
    done = subprocess.run([TOOL, "--style=file", path], cwd=ROOT, text=True, capture_output=True)
    return path, done.stdout, done.stderr


def main():
    if not shutil.which(TOOL):
        print(f"skipped: no {TOOL}")
        sys.exit(77)
    report = Report()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, text, words in pool.map(formatted, sources("*.c", "*.h")):
            old = read(path)
            if old == text or words:
                report.check(not words, path, 1, words)
                continue
            diff = list(difflib.unified_diff(old.splitlines(), text.splitlines(), lineterm="",
                                             n=0))
            line = int(diff[2].split("-")[1].split(",")[0].split(" ")[0])
            report.check(False, path, line, "not formatted:\n" + "\n".join(diff[2:]))
    report.exit()


main()
