# SPDX-License-Identifier: Apache-2.0
"""What the lint scripts share: the tree they look at, and how they report."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("MK_SOURCE_ROOT") or pathlib.Path(__file__).parents[2])
SKIPPED_FOLDERS = {".git", "__pycache__"}


def sources(*patterns):
    """Files below the root by suffix pattern ("*.c"), without build folders, as relative paths."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders
                            if f not in SKIPPED_FOLDERS and not f.startswith("build"))
        for name in sorted(names):
            path = pathlib.Path(folder, name).relative_to(ROOT)
            if any(path.match(p) for p in patterns):
                found.append(path)
    return found


def tracked():
    """The files that git knows, or would; all of them where there is no git."""
    git = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                         capture_output=True)
    if git.returncode != 0:
        return sources("*")
    return [pathlib.Path(p) for p in git.stdout.splitlines() if (ROOT / p).is_file()]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def strip_code(text, slashes=True):
    """C text with comments and the insides of strings blanked out, lines kept; with
    `slashes` false, // comments stay."""
    out, i, n = [], 0, len(text)
    while i < n:
        c = text[i]
        if text.startswith("/*", i) or (slashes and text.startswith("//", i)):
            end = text.find("*/", i + 2) + 2 if text[i + 1] == "*" else text.find("\n", i)
            end = n if end < 2 else end
            out.append("".join(ch if ch == "\n" else " " for ch in text[i:end]))
            i = end
        elif c in "\"'":
            j = i + 1
            while j < n and text[j] != c and text[j] != "\n":
                j += 2 if text[j] == "\\" else 1
            out.append(c + " " * (j - i - 1) + text[j:j + 1])
            i = j + 1
        else:
            out.append(c)
            i += 1
    return "".join(out)


class Report:
    """Counts checks and prints those that fail, as file:line: what."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, good, path, line, what):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{path}:{line}: {what}")
        return good

    def exit(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
