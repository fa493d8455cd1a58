# SPDX-License-Identifier: Apache-2.0
"""A walk over a running cluster by the items of the CIS Kubernetes Benchmark 1.12, a line
an item: its number there, PASS, FAIL or NOT APPLICABLE, and why. Then the cluster is made
worse, and each item that can be is seen to fail. Nothing is taken from our templates:
it reads the command lines of processes, files' modes and owners, what kubelets say they
run with, what the API, etcd and kubelets answer to whom, and the audit log. Titles are in
our words; the benchmark's own are at https://www.cisecurity.org/benchmark/kubernetes.

Lines "own" are items of ours; lines "fault" are the faults of "Kubernetes the hard way"
that tests/unit/test-cluster-hardway.c lists. Faults 5 and 7 are 3.2.1 and 2.1 to 2.7."""
import unittest

import cis
import cis_broken
import cis_control_plane  # noqa: F401: these make the items
import cis_etcd  # noqa: F401
import cis_node  # noqa: F401
import cis_policies  # noqa: F401
import cluster
from cluster import Place

# Items of each section of the benchmark.
SECTIONS = {"1.1": 21, "1.2": 30, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10,
            "4.2": 14, "4.3": 1, "5.1": 13, "5.2": 12, "5.3": 2, "5.4": 2, "5.5": 1, "5.6": 4}


PASS, FAIL, NOT_APPLICABLE = "PASS", "FAIL", "NOT APPLICABLE"
# Not seen to be wrong, but not seen at all.
STUMBLED = "could not be looked at:"


def order(entry):
    number = entry[0]
    return [(0, int(n)) for n in number.split(".")] if number[0].isdigit() else [(1, number)]


def look(function, everything):
    """(outcome, words) of an item."""
    try:
        return PASS, function(everything) or ""
    except cis.NotApplicable as reason:
        return NOT_APPLICABLE, str(reason)
    except AssertionError as error:
        return FAIL, str(error)
    except Exception as error:  # noqa: BLE001: whatever went wrong, the walk goes on
        return FAIL, f"{STUMBLED} {type(error).__name__}: {error}"


def walk(place):
    """{number: (outcome, words)}, each item printed as it is looked at."""
    everything = cis.Cluster(place)
    found = {}
    for number, title, function in sorted(cis.ITEMS, key=order):
        outcome, words = found[number] = look(function, everything)
        print(f"{number:8} {outcome:14} {title}" + (f": {words}" if words else ""), flush=True)
    counts = {outcome: sum(o == outcome for o, _ in found.values())
              for outcome in (PASS, FAIL, NOT_APPLICABLE)}
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return found


class Benchmark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.place = Place("cis")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "1")

    def test_1_every_item_is_looked_at(self):
        wanted = [f"{section}.{n + 1}" for section, count in SECTIONS.items()
                  for n in range(count)]
        numbers = [number for number, _, _ in cis.ITEMS]
        self.assertEqual(sorted(set(wanted) - set(numbers)), [])
        self.assertEqual(len(numbers), len(set(numbers)))

    def test_2_nothing_fails(self):
        found = walk(self.place)
        self.assertEqual({n: words for n, (outcome, words) in found.items() if outcome == FAIL}, {})
        type(self).passed = {n for n, (outcome, _) in found.items() if outcome == PASS}

    def failed(self):
        """What a walk finds wrong now, all of it seen."""
        found = walk(self.place)
        failed = {n: words for n, (outcome, words) in found.items() if outcome == FAIL}
        self.assertEqual({n: w for n, w in failed.items() if STUMBLED in w}, {})
        return set(failed)

    def test_3_what_is_wrong_is_seen(self):
        cis_broken.first(cis.Cluster(self.place))
        self.assertEqual(self.failed(), cis_broken.FIRST)
        cis_broken.second(cis.Cluster(self.place))
        self.assertEqual(self.failed(), cis_broken.FIRST | cis_broken.SECOND)
        self.assertEqual(self.passed - cis_broken.FIRST - cis_broken.SECOND, cis_broken.NEITHER)


if __name__ == "__main__":
    unittest.main(verbosity=2)
