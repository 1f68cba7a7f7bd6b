#!/usr/bin/env python3
"""Runs tests many times, and requires the same verdict of each test every time.

    .ci/steady_verdicts.py --runs 20 --seeds 5 target/debug/misbehaving explorations::

Runs the program with one seed `--runs` times, then with each of `--seeds` other seeds, in each way
to isolate tests. As root, also runs it as an ordinary user. Some tests of the program may fail; a
test that passes once and fails once fails this script.
"""

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# The verdict of a test in the output, without a reason or a time.
VERDICT = re.compile(r"^test (\S+) \.\.\. (ok|FAILED|ignored)\b", re.MULTILINE)
ORDINARY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def verdicts(options, scratch, user, isolation, seed):
    """Runs the tests once. Gives the verdict of each test."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    folder.chmod(0o1777)
    # A runner that a test starts as well must be able to write its history.
    environment = os.environ | {"TMPDIR": str(folder), "HOME": str(folder), "CHAOS_HISTORY": str(folder / "history")}
    program = scratch / "program"
    command = [*(ORDINARY if user else []), str(program), *options.filters, "--isolation", isolation, "--seed", str(seed)]
    ran = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
    shutil.rmtree(folder, ignore_errors=True)
    # Tests print what they like, the output of other runners among it: the first verdict counts.
    found = {}
    for test, verdict in VERDICT.findall(ran.stdout):
        found.setdefault(test, verdict)
    if not re.search(r"^test result: ", ran.stdout, re.MULTILINE) or not found:
        sys.exit(f"error: {' '.join(command)} did not end with a result:\n{ran.stdout}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="runs with the first seed (default: 1)")
    parser.add_argument("--seeds", type=int, default=0, help="runs with other seeds (default: 0)")
    parser.add_argument("--isolation", action="append", choices=["fork", "exec"], help="a way to isolate tests (default: both)")
    parser.add_argument("program", type=Path, help="a program of chaos tests")
    parser.add_argument("filters", nargs="*", help="the tests to run (default: all)")
    options = parser.parse_args()
    users = [False]
    if os.geteuid() == 0 and shutil.which("setpriv"):
        users.append(True)
    else:
        print("NOT CHECKED: only root can also run the tests as an ordinary user, by setpriv")
    seeds = [1] * options.runs + list(range(2, 2 + options.seeds))
    first, changed = {}, set()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)
        # An ordinary user may not be able to read the original.
        shutil.copy2(options.program, scratch / "program")
        ways = itertools.product(seeds, users, options.isolation or ["fork", "exec"])
        for number, (seed, user, isolation) in enumerate(ways, 1):
            way = f"seed {seed}, {'an ordinary user' if user else 'this user'}, {isolation}"
            found = verdicts(options, scratch, user, isolation, seed)
            counts = {verdict: list(found.values()).count(verdict) for verdict in sorted(set(found.values()))}
            print(f"{number}: {way}: {counts}", flush=True)
            for test, verdict in found.items():
                known, other = first.setdefault(test, (verdict, way))
                if known != verdict:
                    changed.add(test)
                    print(f"error: {test} is {verdict} with {way}, and was {known} with {other}", flush=True)
            for test in first.keys() - found.keys():
                changed.add(test)
                print(f"error: {test} has no verdict with {way}", flush=True)
    print(f"{len(first)} tests in {number} runs: {len(changed)} changed their verdict")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
