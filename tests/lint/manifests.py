#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each ${NAME} of manifests/{node,port,objects,verify} is set by lib/cluster, and back.

That every file is put into the node or applied, and is well-formed, the unit
tests see: they read YAML. Here also: shell scripts parse, and files are named.
"""
import re
import subprocess

from report import ROOT, Report, read, sources

NAME = re.compile(r"\$\{([A-Z0-9_]+)\}")
SET = re.compile(r'(?:mk_render_setf?|set_backend)\((?:plan,)?\s*&?\w+,\s*"([A-Z0-9_]+)"')


def names_set(path):
    """Names a source file sets; with set_image also X_IMAGE of every role."""
    text = read(path)
    names = {name: text[:found.start()].count("\n") + 1
             for found in SET.finditer(text) for name in [found.group(1)]}
    return names, "set_image(" in text


def roles():
    """The roles of images: the strings of the table in lib/cluster/config_syntax.c."""
    table = re.search(r"\broles\[\] = \{(.*?)\};", read("lib/cluster/config_syntax.c"), re.S)
    return set(re.findall(r'"([a-z-]+)"', table.group(1)))


def check_names(report, folder, source, *more):
    known, images = names_set(source)
    for path in more:
        known.update(names_set(path)[0])
    if images:
        known.update({role.upper().replace("-", "_") + "_IMAGE": 1 for role in roles()})
    used = set()
    for path in sources(f"manifests/{folder}/**/*", f"manifests/{folder}/*"):
        for number, line in enumerate(read(path).splitlines(), 1):
            for name in NAME.findall(line):
                used.add(name)
                report.check(name in known, path, number, f"{source} sets no ${{{name}}}")
    for name, number in sorted(known.items()):
        report.check(name in used, source, number, f"no file of manifests/{folder} uses {name}")


def check_scripts(report):
    for path in sources("manifests/node/bin/*", "manifests/image/*", "tests/run", "tests/setup"):
        if not read(path).startswith("#!"):
            continue
        done = subprocess.run(["sh", "-n", path], cwd=ROOT, text=True, capture_output=True)
        report.check(done.returncode == 0, path, 1, done.stderr.strip())
        report.check((ROOT / path).stat().st_mode & 0o111, path, 1, "is not executable")


def main():
    report = Report()
    check_names(report, "node", "lib/cluster/node_files.c", "lib/cluster/snapshot_feed.c")
    check_names(report, "port", "lib/cluster/port_container.c")
    check_names(report, "objects", "lib/cluster/step_cluster.c")
    check_names(report, "verify", "lib/cluster/verify_pod.c")
    check_scripts(report)
    embedded = re.search(r"openfaas_files\[\] = \{(.*?)\};", read("lib/cluster/step_cluster.c"),
                         re.S).group(1) + read("lib/cluster/step_cluster.c")
    for path in sources("manifests/objects/*.yaml"):
        report.check(f'"objects/{path.name}"' in embedded, path, 1, "is never applied")
    report.exit()


main()
