#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sizes and bans: functions of 60 lines, files of 500, and what C has that we do not use.

What breaks a rule needs a line with the reason in exceptions.txt; nothing may pass
100 and 800 lines. Columns are clang-format's matter.
"""
import re

from report import ROOT, Report, read, sources, strip_code

FUNCTION, FUNCTION_STOP = 60, 100
FILE, FILE_STOP = 500, 800

BANNED = ["strcpy", "strcat", "strncat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll",
          "strtol", "strtoul", "system", "popen", "gmtime", "localtime", "asctime", "ctime", "gets",
          "alloca", "mktemp", "tmpnam", "rand", "srand"]
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
# A condition with up to three levels of parentheses, and a statement behind it.
ONE_LINE = re.compile(r"^\s*(?:if|for|while) \((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)"
                      r" [^;]*;\s*$")


def exceptions():
    """{(path, what)}: of lines like "lib/x.c: NAME: reason"."""
    found = {}
    for number, line in enumerate(read("tests/lint/exceptions.txt").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        path, what, reason = (part.strip() for part in line.split(":", 2))
        found[(path, what)] = (number, reason)
    return found


def functions(code):
    """(name, first line, last line) of each definition: a `{` alone at the margin."""
    lines = code.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start:
            head = start - 1
            while head > 1 and (lines[head - 1][:1] in ("\t", " ") or
                                not re.search(r"\w\s*\(", lines[head - 1])):
                head -= 1
            name = re.search(r"(\w+)\s*\(", lines[head - 1])
            yield name.group(1) if name else "?", head, number
            start = None


def check_lines(report, path, text, listed, used):
    code = strip_code(text, slashes=False)
    for number, (line, raw) in enumerate(zip(code.splitlines(), text.splitlines()), 1):
        for name in CALL.findall(line):
            key = (path.as_posix(), name)
            used.add(key)
            report.check(key in listed, path, number, f"{name} is banned")
        for wrong, what in ((re.search(r"\bgoto\b", line), "goto is banned"),
                            ("//" in line, "a // comment"),
                            (ONE_LINE.search(line), "a statement on the line of its condition"),
                            (raw != raw.rstrip(), "white space at the end")):
            if wrong:
                report.check(False, path, number, what)


def check_size(report, path, what, size, limit, stop, line, listed, used):
    key = (path.as_posix(), what)
    if size <= limit:
        return report.check(True, path, line, "")
    used.add(key)
    if size > stop:
        return report.check(False, path, line, f"{what}: {size} lines, over the stop of {stop}")
    return report.check(key in listed, path, line,
                        f"{what}: {size} lines, over {limit}, and no reason in exceptions.txt")


def check_file(report, path, listed, used):
    text = read(path)
    code = strip_code(text)
    head = text.split("\n", 1)[0]
    report.check(head == "/* SPDX-License-Identifier: Apache-2.0 */", path, 1, "no SPDX line")
    check_size(report, path, "file", text.count("\n"), FILE, FILE_STOP, 1, listed, used)
    for name, first, last in functions(code):
        check_size(report, path, name, last - first + 1, FUNCTION, FUNCTION_STOP, first, listed,
                   used)
    check_lines(report, path, text, listed, used)


def main():
    report = Report()
    listed, used = exceptions(), set()
    for path in sources("*.c", "*.h"):
        check_file(report, path, listed, used)
    for path in sources("*.py", "*.build", "*.sh", "*.go"):
        head = read(path).split("\n", 2)[:2]
        report.check(any("SPDX-License-Identifier: Apache-2.0" in line for line in head), path, 1,
                     "no SPDX line")
    for (path, what), (number, reason) in listed.items():
        report.check(reason, "tests/lint/exceptions.txt", number, "no reason given")
        report.check((path, what) in used, "tests/lint/exceptions.txt", number,
                     f"{path}: {what} needs no exception")
    report.check(ROOT.is_dir(), ROOT, 1, "no tree")
    report.exit()


main()
