#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No traces of one machine in the tree, and README agrees with the program's help.

usage: words.py [MKCLUSTER]
"""
import re
import subprocess
import sys

from report import Report, read, tracked

BINARY = {".png", ".tar", ".gz", ".xz", ".zst", ".sum"}
HERE = "tests/lint/words.py"
TRACES = [
    (re.compile(r"(?<![\w.$}:/])/(?:work|tmp/\w{1,3}|root|home/(?!you\b|user\b)\w+)(?:/|\b)(?!-)"),
     "a path of one machine"),
    (re.compile(r"\b(?:artifactory|nexus\.|jfrog|pkg-proxy|goproxy\.(?!golang)|devpi|verdaccio)",
                re.I), "a package proxy"),
    (re.compile(r"\b(?:this|our|my|previous|earlier|next|agent) sessions?\b", re.I), "a session"),
    (re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b(?!XXX)"), "an unfinished thing"),
]
# What is meant where it stands: root's home in an image's passwd file.
ALLOWED = [
    (re.compile(r"^lib/nodeimage/podimage\.c$"), "a path of one machine"),
]


def is_allowed(path, what):
    return any(p.search(path.as_posix()) and what == w for p, w in ALLOWED)


def check_traces(report):
    for path in tracked():
        if path.suffix in BINARY or path.as_posix() == HERE or "corpus" in path.parts:
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            for pattern, what in TRACES:
                found = pattern.search(line)
                if found and not is_allowed(path, what):
                    report.check(False, path, number, f"{what}: {found.group(0)}")
        report.check(True, path, 1, "")


def help_lines(program):
    text = subprocess.run([program, "--help"], text=True, capture_output=True, check=True).stdout
    listed = text.split("Commands:\n")[1].split("\n\n")[0]
    found = {}
    for line in listed.splitlines():
        name, summary = re.match(r"  (.{18}) (.*)$", line).groups()
        found[name.strip()] = summary
    return found


def check_readme(report, program):
    readme = read("README.md")
    rows = {}
    for number, line in enumerate(readme.splitlines(), 1):
        found = re.match(r"\| `([a-z][a-z -]*)` \| (.*) \|$", line)
        if found:
            rows[found.group(1)] = (number, found.group(2))
    listed = help_lines(program)
    for name in listed:
        report.check(name in rows, "README.md", 1, f"its table of commands lacks `{name}`")
    for name, (number, summary) in rows.items():
        report.check(listed.get(name) == summary, "README.md", number,
                     f"`{name}` is in --help as: {listed.get(name)}")


def main():
    report = Report()
    check_traces(report)
    if len(sys.argv) > 1:
        check_readme(report, sys.argv[1])
    report.exit()


main()
