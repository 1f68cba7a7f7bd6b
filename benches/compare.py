#!/usr/bin/env python3
"""Compares the benchmarks of the working tree with those of an older commit, side by side.

Checks the commit out into a temporary Git worktree, builds the benchmark programs of both with
separate target directories, and runs them in turn. Each round runs the base, the head and the base
again, in an order that changes from round to round. A ratio is a cost of the head divided by the
same cost of the base in the same round: above 1, the head is slower. The base against itself shows
how much of that is noise.

    benches/compare.py dcf6554 --pairs 15
    benches/compare.py dcf6554 --pairs 15 --only breaker,explore

Needs Git, Cargo and nothing but Python's standard library. The base is built with the dependency
versions of the head's lock files, so that a ratio compares the project's own code.
"""

import argparse
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["Cargo.lock", "benches/Cargo.lock"]

# Median, and then the minimum and the maximum in parentheses, as all benchmarks print a spread.
SPREAD = r"([0-9.]+) \([0-9.-]+ to [0-9.-]+\)"


class Benchmark:
    """A benchmark program: its arguments, and how to read costs from its output."""

    def __init__(self, name, arguments, figures):
        self.name = name
        self.arguments = arguments
        # Pairs of a pattern and of the figures that its groups hold, in order. A figure is a name,
        # in which {0} is the first group, and whether more is better.
        self.figures = figures

    def costs(self, output):
        """The costs in an output, by name; a rate becomes the time of one.

        >>> BENCHMARKS["explore"].costs("crash points: 400 a second (390 to 410), at least 300: holds")
        {'crash point': 0.0025}
        >>> BENCHMARKS["breaker"].costs("  one thread , 0 % failed  clarity, in a row   12.5 (12.1 to 13.0)")
        {'call, one thread, 0 % failed, clarity, in a row': 12.5}
        >>> BENCHMARKS["empty"].costs("  chaos, isolation fork, sandbox none        0.500 (0.480 to 0.510)     2000      6%")
        {'chaos, isolation fork, sandbox none': 0.5}
        >>> sorted(BENCHMARKS["server"].costs(
        ...     "8 clients, 7 rounds: median (min to max)\\n"
        ...     "  clarity, breaker open   2000 (1 to 3)  1.50 (1.00 to 2.00)  40.0 (30.0 to 50.0)").items())
        [('8 clients, clarity, breaker open, answer', 0.0005), \
('8 clients, clarity, breaker open, p99', 1.5), \
('8 clients, clarity, breaker open, processor', 40.0)]
        """
        found = {}
        clients = ""
        for line in output.splitlines():
            if heading := re.match(r"(\d+ clients), \d+ rounds: ", line):
                clients = heading[1] + ", "
            for pattern, figures in self.figures:
                match = re.match(pattern, line)
                if not match:
                    continue
                names = [re.sub(r"\s+", " ", group).replace(" ,", ",") for group in match.groups()]
                values = match.groups()[-len(figures):]
                for (name, is_rate), value in zip(figures, values):
                    value = float(value)
                    if value > 0:
                        found[clients + name.format(*names)] = 1 / value if is_rate else value
        return found


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in [
        Benchmark(
            "empty",
            ["--sizes", "1000", "--rounds", "1", "--no-parts"],
            [(rf"  (chaos, \S.*?|libtest-mimic)\s+{SPREAD}\s+\d+\s+\d+%", [("{0}", False)])],
        ),
        Benchmark(
            "explore",
            ["--nocapture", "--test-threads", "1"],
            [
                (rf"crash points: (\d+) a second", [("crash point", True)]),
                (rf"states after a loss of power: \d+, (\d+) a second", [("state", True)]),
                (rf"a trapped call: ([0-9.]+) µs more", [("trapped call", False)]),
                (rf"a trapped call inside: ([0-9.]+) µs more", [("trapped call inside", False)]),
                (rf"a trapped call with \d+ MiB resident: ([0-9.]+) µs more", [("trapped call of a large test", False)]),
            ],
        ),
        Benchmark(
            "server",
            ["--clients", "1,8", "--rounds", "7", "--milliseconds", "200", "--loads", "0"],
            [
                (
                    rf"  (clarity, .*?)\s+{SPREAD}\s+{SPREAD}\s+{SPREAD}",
                    [("{0}, answer", True), ("{0}, p99", False), ("{0}, processor", False)],
                )
            ],
        ),
        Benchmark(
            "breaker",
            ["--rounds", "15"],
            [
                (
                    rf"  ((?:one thread |two threads), \d+ % failed)\s+(clarity, .*?)\s+{SPREAD}",
                    [("call, {0}, {1}", False)],
                )
            ],
        ),
    ]
}


class Revision:
    """A tree of the project, and the programs that are built from it."""

    def __init__(self, name, tree, target):
        self.name = name
        self.tree = tree
        self.target = target
        # Of the benchmark of empty tests, which builds them itself.
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(target)}

    def build(self, names):
        """Builds the release programs."""
        print(f"building {self.name} in {self.target}", file=sys.stderr)
        programs = [argument for name in names for argument in ("--bin", program_of(name))]
        cargo(["build", "--release", *programs], self.tree / "benches", self.target)
        if "server" in names:
            cargo(["build", "--release", "--bin", "clarity"], self.tree, self.target)

    def run(self, benchmark, limit):
        """Runs a benchmark once, and gives its costs."""
        programs = self.target / "release"
        command = [programs / program_of(benchmark.name), *benchmark.arguments]
        if benchmark.name == "server":
            command += ["--clarity", programs / "clarity"]
        ended = subprocess.run(
            command,
            cwd=self.tree / "benches",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
        )
        costs = benchmark.costs(ended.stdout)
        if ended.returncode != 0 or not costs:
            sys.exit(
                f"error: {benchmark.name} of {self.name} ended with {ended.returncode} and printed"
                f" {len(costs)} figures, expected 0 and at least one:\n{ended.stdout}{ended.stderr}"
            )
        return costs


def program_of(name):
    """The program of a benchmark."""
    return "benches" if name == "empty" else name


def cargo(arguments, directory, target):
    command = [os.environ.get("CARGO", "cargo"), *arguments, "--target-dir", str(target)]
    ended = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed in {directory} with {ended.returncode}")


def git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed: {ended.stderr.strip()}")
    return ended.stdout.strip()


def check_out(commit, tree):
    """Makes a worktree of a commit, with the dependency versions of the head."""
    git("worktree", "prune")
    if tree.exists():
        remove(tree)
    tree.parent.mkdir(parents=True, exist_ok=True)
    git("worktree", "add", "--detach", str(tree), commit)
    for lock in LOCKS:
        shutil.copyfile(ROOT / lock, tree / lock)


def remove(tree):
    git("worktree", "remove", "--force", str(tree))


def compare(base, head, names, pairs, limit):
    """Runs all rounds; gives for each benchmark the ratios of each figure, head and base again."""
    ratios = {name: {} for name in names}
    orders = itertools.cycle(itertools.permutations(["base", "head", "again"]))
    revisions = {"base": base, "head": head, "again": base}
    # The round before the first fills the caches and does not count.
    for number in range(pairs + 1):
        for name in names:
            order = next(orders) if name == names[0] else order
            costs = {}
            for role in order:
                print(f"round {number} of {pairs}: {name}, {role}", file=sys.stderr, flush=True)
                costs[role] = revisions[role].run(BENCHMARKS[name], limit)
            if number == 0:
                continue
            for figure, cost in costs["base"].items():
                of_head, of_base = ratios[name].setdefault(figure, ([], []))
                if figure in costs["head"]:
                    of_head.append(costs["head"][figure] / cost)
                if figure in costs["again"]:
                    of_base.append(costs["again"][figure] / cost)
    return ratios


def spread(numbers):
    """A median with its extremes.

    >>> spread([1.0, 3.0, 1.1])
    '1.100 (1.000 to 3.000)'
    >>> spread([])
    'not measured'
    """
    if not numbers:
        return "not measured"
    return f"{statistics.median(numbers):.3f} ({min(numbers):.3f} to {max(numbers):.3f})"


def report(ratios, base, pairs):
    print(f"\ncost / cost of {base}, {pairs} pairs: median (min to max); above 1 is slower")
    print(f"  {'':<58} {'head':>26} {'base against itself':>26}")
    for name, figures in ratios.items():
        print(name)
        for figure, (of_head, of_base) in figures.items():
            print(f"  {figure:<58} {spread(of_head):>26} {spread(of_base):>26}")


def names_of(text):
    names = text.split(",")
    for name in names:
        if name not in BENCHMARKS:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(BENCHMARKS)}, found {name!r}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--pairs", type=int, default=15, help="rounds that count (default: 15)")
    parser.add_argument("--only", type=names_of, default=list(BENCHMARKS), metavar="NAMES",
                        help=f"benchmarks to run, separated by commas (default: {','.join(BENCHMARKS)})")
    parser.add_argument("--limit", type=float, default=1800, metavar="SECONDS",
                        help="the longest that one run may take (default: 1800)")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error(f"--pairs: expected at least 1, found {options.pairs}")
    commit = git("rev-parse", "--verify", f"{options.base}^{{commit}}")
    directory = ROOT / "target/compare"
    base = Revision(options.base, directory / "tree", directory / f"base-{commit[:12]}")
    head = Revision("head", ROOT, directory / "head")
    check_out(commit, base.tree)
    try:
        for revision in (base, head):
            revision.build(options.only)
        ratios = compare(base, head, options.only, options.pairs, options.limit)
    finally:
        remove(base.tree)
    report(ratios, options.base, options.pairs)


if __name__ == "__main__":
    main()
