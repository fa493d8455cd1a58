#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a C file that holds the given files.

usage: embed.py OUT.c DEPFILE PREFIX=FOLDER [PREFIX=FOLDER ...]

Every file below each FOLDER is stored under PREFIX/its-path. The tool must work
where its source tree is not, so what it puts into nodes travels inside it.
"""
import pathlib
import sys

SKIPPED = {".py", ".pyc", ".c", ".h", ".build"}


def files(prefix, folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in SKIPPED and "_test.go" not in path.name:
            yield f"{prefix}/{path.relative_to(folder)}".lstrip("/"), path


def literal(data):
    """The bytes as C string literals, a line of text a line of C."""
    out = []
    for line in data.splitlines(keepends=True) or [b""]:
        text = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
                       for b in line)
        out.append(f'\t\t"{text}"')
    return "\n".join(out)


def main():
    out, depfile, *roots = sys.argv[1:]
    found = []
    for root in roots:
        prefix, folder = root.split("=", 1)
        found += files(prefix, pathlib.Path(folder))
    found.sort()
    with open(out, "w") as c:
        c.write('/* Made by manifests/embed.py. */\n#include "manifests/embed.h"\n\n')
        c.write("const struct mk_embedded mk_embedded_files[] = {\n")
        for name, path in found:
            data = path.read_bytes()
            mode = "0755" if path.stat().st_mode & 0o100 else "0644"
            c.write(f'\t{{ "{name}",\n{literal(data)},\n\t\t{len(data)}, {mode} }},\n')
        c.write(f"}};\n\nconst size_t mk_embedded_count = {len(found)};\n")
    # The roots too: a folder that is new is in none of the others.
    folders = {str(p.parent) for _, p in found} | {root.split("=", 1)[1] for root in roots}
    with open(depfile, "w") as d:
        d.write(f"{out}: {' '.join(sorted([str(p) for _, p in found] + list(folders)))}\n")


main()
