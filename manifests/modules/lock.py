#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write go.mod and go.sum of one folder here anew.

usage: lock.py FOLDER MODULE@VERSION [MODULE@VERSION ...]

A program's own replace, exclude and godebug lines do not count when it is built
from another module, so the first module's are copied. A replacement by a folder
of the upstream repository becomes the published module of that name: of the
version this program's own go.mod asks for, or, where that is the placeholder
v0.0.0 (Kubernetes' staging repositories), v0.X.Y for Kubernetes v1.X.Y.

For maintainers who bump a version; building only reads what this wrote.
"""
import json
import pathlib
import subprocess
import sys


def go(*args, cwd=None):
    return subprocess.run(["go", *args], cwd=cwd, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def published(upstream, path, version):
    """The version under which a replaced folder of upstream is published."""
    required = {r["Path"]: r["Version"] for r in upstream.get("Require") or []}
    asked = required.get(path)
    if asked == "v0.0.0":
        return "v0." + version.split(".", 1)[1]
    return asked


def directives(upstream, version):
    for item in upstream.get("Godebug") or []:
        yield f"godebug {item['Key']}={item['Value']}"
    for item in upstream.get("Replace") or []:
        old, new = item["Old"], item["New"]
        if not new["Path"].startswith("."):
            name = " ".join(filter(None, [old["Path"], old.get("Version")]))
            yield f"replace {name} => {new['Path']} {new['Version']}"
            continue
        at = published(upstream, old["Path"], version)
        if at:
            yield f"replace {old['Path']} => {old['Path']} {at}"
    for item in upstream.get("Exclude") or []:
        yield f"exclude {item['Path']} {item['Version']}"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder = pathlib.Path(__file__).parent / sys.argv[1]
    modules = [m.split("@") for m in sys.argv[2:]]
    main_module, version = modules[0]
    gomod = json.loads(go("mod", "download", "-json", f"{main_module}@{version}"))["GoMod"]
    upstream = json.loads(go("mod", "edit", "-json", gomod))
    lines = [f"module mkcluster.dev/modules/{sys.argv[1]}", f"go {upstream['Go']}"]
    lines += [f"require {path} {at}" for path, at in modules]
    lines += directives(upstream, version)
    (folder / "go.sum").unlink(missing_ok=True)
    (folder / "go.mod").write_text("\n\n".join(lines) + "\n")
    # -e: some programs' tests import modules that are gone; we build no tests.
    go("mod", "tidy", "-e", cwd=folder)


main()
