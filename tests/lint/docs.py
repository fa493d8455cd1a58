#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each public prototype has a comment above it, or stands in a group under one.

A group is a run of prototypes and macros without an empty line between. Cleanup
pairs, X_done and X_free, need no words of their own; other names that say it all
are listed in undocumented.txt.
"""
import re

from report import Report, read, sources

# A prototype at the margin: a type, a name, an opening parenthesis, no body.
PROTOTYPE = re.compile(r"^(?!static|typedef|#|\s|MK_DEFINE|struct \w+ \{)[\w *]+?\b(mk_\w+)\(")
SELF_EVIDENT = re.compile(r"_(done|free)$")


def blocks(text):
    """Runs of lines without an empty one between, with their first line's number."""
    block, start, in_comment = [], 1, False
    for number, line in enumerate(text.splitlines() + [""], 1):
        in_comment = (in_comment or "/*" in line) and "*/" not in line.split("/*")[-1]
        if line.strip() or in_comment:
            if not block:
                start = number
            block.append(line)
        else:
            yield start, block
            block = []


def check_block(report, path, start, block, listed, used):
    documented = False
    for offset, line in enumerate(block):
        if line.startswith(("/*", " *")):
            documented = True
        found = PROTOTYPE.match(line)
        if not found or documented or SELF_EVIDENT.search(found.group(1)):
            report.check(True, path, start + offset, "")
            continue
        name = found.group(1)
        used.add(name)
        report.check(name in listed, path, start + offset, f"{name} has no comment")


def main():
    report = Report()
    names = read("tests/lint/undocumented.txt").splitlines()
    listed = {name: number for number, name in enumerate(names, 1) if not name.startswith("#")}
    used = set()
    for path in sources("lib/*/*.h", "pki/*.h", "manifests/*.h", "cmd/*.h"):
        text = read(path)
        report.check(re.match(r"/\* SPDX[^\n]*\n/\*", text), path, 2, "says not what it is")
        for start, block in blocks(text):
            check_block(report, path, start, block, listed, used)
    for name, number in listed.items():
        report.check(name in used, "tests/lint/undocumented.txt", number,
                     f"{name} has a comment, or is gone")
    report.exit()


main()
