#!/usr/bin/env python3
"""Compares the shares of seeds that show a race, in different runs of the same test.

    .ci/race_shares.py --seeds 2000 target/debug/misbehaving

By hand, since it takes minutes and needs several processors. With one seed in five, two threads of
the program's test `surroundings::races` can run at the same time; the test fails where they do,
which hardly happens on one processor. The script runs it with each seed alone, after tests that
fail, in a sweep with other tests, and in a sweep with one test at a time. The 99.9 % intervals of
all shares must overlap.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RACE = "surroundings::races"
FAILING = ["endings::aborts", "endings::exits_early", "endings::fails", "endings::panics"]
OTHERS = ["endings::passes", "endings::passes_and_tells", "test_environment::belongs_to_the_test"]
# The normal quantile of a two-sided interval of 99.9 %.
QUANTILE = 3.2905
# All kinds of run take turns, so that a change of the machine's load meets all of them.
BLOCK = 50
LIMIT = 600


def interval(shown, seeds):
    """Gives Wilson's interval of a share."""
    share, square = shown / seeds, QUANTILE**2
    middle = (share + square / (2 * seeds)) / (1 + square / seeds)
    width = QUANTILE * math.sqrt(share * (1 - share) / seeds + square / (4 * seeds**2)) / (1 + square / seeds)
    return max(0, middle - width), min(1, middle + width)


def run(options, *arguments):
    """Runs the program. Gives the directory of the run, with the history and the results."""
    folder = Path(tempfile.mkdtemp(dir=options.scratch))
    # To print a backtrace costs more than the rest of the run.
    environment = os.environ | {"RUST_BACKTRACE": "0", "CHAOS_ISOLATION": options.isolation}
    environment |= {"TMPDIR": str(folder), "CHAOS_HISTORY": str(folder), "CHAOS_REGRESSIONS": str(folder / "seeds")}
    command = [str(options.program), "--exact", RACE, "--keep-dirs", "never", "--retries", "0", *arguments]
    ran = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    if ran.returncode not in (0, 101):
        sys.exit(f"error: exit code {ran.returncode} of {' '.join(command)}\n{ran.stdout}")
    return folder


def single(options, seeds, *arguments):
    """Runs the race once for each seed. Gives the number of seeds that show it."""
    shown = 0
    for seed in seeds:
        folder = run(options, "--seed", str(seed), "--oracles", "off", *arguments)
        record = json.loads((folder / f"records/{RACE.replace('::', '.')}.json").read_text())
        if record["verdict"] not in ("passed", "panicked"):
            sys.exit(f"error: seed {seed}: {record['verdict']}")
        shown += record["verdict"] == "panicked"
    return shown


def sweep(options, seeds, *arguments):
    """Runs a sweep. Gives the number of seeds that show the race."""
    results = Path(tempfile.mkdtemp(dir=options.scratch)) / "results.json"
    run(options, "--seeds", f"{seeds.start}..{seeds.stop}", "--oracles", "off", "--results", str(results), *arguments)
    test = json.loads(results.read_text())["tests"][RACE]
    if test["cases"] != len(seeds):
        sys.exit(f"error: {test['cases']} cases, and not {len(seeds)}")
    return test["failed"]


RUNS = {
    "alone": lambda options, seeds: single(options, seeds),
    "after failures": lambda options, seeds: single(options, seeds, *FAILING, "--test-threads", "1"),
    "in a sweep with others": lambda options, seeds: sweep(options, seeds, *FAILING, *OTHERS),
    "one test at a time": lambda options, seeds: sweep(options, seeds, *FAILING, *OTHERS, "--test-threads", "1"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2000, help="the number of seeds (default: 2000)")
    parser.add_argument("--isolation", default="fork", choices=["fork", "exec"], help="the isolation of the tests (default: fork)")
    parser.add_argument("program", type=Path, help="the program of chaos tests `misbehaving`")
    options = parser.parse_args()
    options.program = options.program.resolve()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("error: the race needs two processors")
    shown = dict.fromkeys(RUNS, 0)
    with tempfile.TemporaryDirectory() as options.scratch:
        for first in range(0, options.seeds, BLOCK):
            for name, count in RUNS.items():
                shown[name] += count(options, range(first, min(first + BLOCK, options.seeds)))
    intervals = {name: interval(count, options.seeds) for name, count in shown.items()}
    for name, (low, high) in intervals.items():
        share = shown[name] / options.seeds
        print(f"{name}: {shown[name]} of {options.seeds}, {100 * share:.2f} % ({100 * low:.2f} % to {100 * high:.2f} %)")
    if max(low for low, _ in intervals.values()) > min(high for _, high in intervals.values()):
        sys.exit("error: the intervals do not overlap")
    if not all(shown.values()):
        sys.exit("error: the race was never shown in one of the runs, so there is nothing to compare")


if __name__ == "__main__":
    main()
