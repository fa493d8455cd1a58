#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which file may include what, and which functions are cmd's alone.

A file includes its own folder and lower layers. The headers of a foreign library
stay in the files named here. Only cmd reads argv, prints to stdout and exits.
"""
import re

from report import Report, read, sources, strip_code

# Each layer, and all that it may use besides itself.
BELOW = {
    "lib/base": set(),
    "lib/http": {"lib/base"},
    "lib/archive": {"lib/base"},
    "pki": {"lib/base"},
    "manifests": {"lib/base"},
}
BELOW["lib/docker"] = {"lib/base", "lib/http", "lib/archive"}
BELOW["lib/kube"] = {"lib/base", "lib/http"}
BELOW["lib/registry"] = {"lib/base", "lib/http", "lib/archive"}
BELOW["lib/fetch"] = {"lib/base", "lib/http"}
BELOW["lib/git"] = {"lib/base", "lib/http"}
BELOW["lib/nodeimage"] = set(BELOW) - {"lib/nodeimage", "lib/kube", "lib/git", "pki"}
BELOW["lib/cluster"] = set(BELOW) - {"lib/cluster", "lib/nodeimage", "lib/fetch"}
BELOW["cmd"] = set(BELOW) - {"cmd"}

# Foreign header -> the files that may include it.
FOREIGN = {
    "curl/": ["lib/http/transfer.h", "lib/http/*.c", "cmd/version.c"],
    "archive": ["lib/archive/*.c", "lib/archive/*.h"],
    "openssl/": ["pki/ssl.h", "pki/*.c", "lib/registry/digest.c", "lib/fetch/checksum.c",
                 "lib/http/handshake.c"],
    "yaml.h": ["lib/base/yaml.c", "lib/base/yaml-*.c"],
    "git2": ["lib/git/repository.h", "lib/git/*.c"],
}
# Private headers that another folder's files may use.
PRIVATE = re.compile(r"Private to |private to ")

# Calls that end the process or write to stdout, and who may make them.
CALLS = [
    (re.compile(r"\b(?:printf|puts|putchar|vprintf)\s*\("), "prints to stdout", []),
    (re.compile(r"\bstdout\b"), "uses stdout", []),
    (re.compile(r"\b(?:_?exit|_Exit|quick_exit)\s*\("), "exits",
     ["lib/base/mem.c", "lib/base/clock.c", "lib/nodeimage/child.c"]),
    (re.compile(r"\bargc\b|\bmain\s*\("), "reads the command line", []),
    (re.compile(r"\b(?:fprintf|fputs|perror)\s*\(\s*stderr"), "prints to stderr",
     ["lib/base/log.c", "lib/base/json.c", "lib/base/mem.c"]),
]


def folder_of(path):
    parts = path.as_posix().split("/")
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def includes(path):
    for number, line in enumerate(read(path).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


def check_ours(report, path, number, name, private):
    own, other = folder_of(path), folder_of(type(path)(name))
    report.check("/" in name, path, number, f'"{name}" is not named from the root')
    if other == own or other not in BELOW:
        report.check(other == own or other == "tests", path, number, f"unknown layer: {name}")
        return
    report.check(other in BELOW[own], path, number, f"{own} may not use {other}: {name}")
    report.check(name not in private, path, number, f"{name} is private to {other}")


def check_foreign(report, path, number, name):
    for prefix, allowed in FOREIGN.items():
        if name == prefix or (name.startswith(prefix) and prefix[-1] == "/") or \
                (prefix == "archive" and re.match(r"archive(_entry)?\.h$", name)) or \
                (prefix == "git2" and name.startswith("git2")):
            report.check(any(path.match(p) and folder_of(path) == folder_of(type(path)(p))
                             for p in allowed), path, number, f"<{name}> does not belong here")


def check_calls(report, path):
    if folder_of(path) == "cmd":
        return
    for number, line in enumerate(strip_code(read(path)).splitlines(), 1):
        for pattern, what, allowed in CALLS:
            if pattern.search(line):
                report.check(path.as_posix() in allowed, path, number, f"only cmd {what}")


def main():
    report = Report()
    files = [p for p in sources("*.c", "*.h") if folder_of(p) in BELOW]
    private = {p.as_posix() for p in files
               if p.suffix == ".h" and PRIVATE.search(read(p)[:400].replace("\n * ", " "))}
    for path in files:
        for number, ours, name in includes(path):
            if ours:
                check_ours(report, path, number, name, private)
            else:
                check_foreign(report, path, number, name)
        check_calls(report, path)
    report.check(len(files) > 100, "tests/lint/layers.py", 1, "hardly any files found")
    report.exit()


main()
