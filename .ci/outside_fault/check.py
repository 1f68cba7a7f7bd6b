#!/usr/bin/env python3
"""Checks a fault that a package outside of the workspace defines.

Usage: .ci/outside_fault/check.py [TARGET_DIR]

The package is made in a temporary directory. Its fault is drawn, recorded, minimised, and undone
after SIGKILL of the test. TARGET_DIR is Cargo's; `target` has most dependencies built already.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MANIFEST = f"""\
[package]
name = "outside-fault"
version = "0.0.0"
edition = "2024"
publish = false

[dev-dependencies]
clarity-chaos = {{ path = "{REPOSITORY / 'harness'}" }}
serde = {{ version = "1", features = ["derive"] }}

[[test]]
name = "faults"
harness = false

[workspace]
"""
SETTINGS = "a\nb\nc\nd\n"
SECONDS = 1200


def main():
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "target").resolve()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        package = work / "package"
        (package / "tests").mkdir(parents=True)
        (package / "src").mkdir()
        (package / "src" / "lib.rs").touch()
        (package / "Cargo.toml").write_text(MANIFEST)
        # The same versions as in the workspace, and their artifacts.
        shutil.copy(REPOSITORY / "Cargo.lock", package)
        shutil.copy(HERE / "faults.rs", package / "tests")
        check(package, target, work)


def check(package, target, work):
    outside = work / "outside"
    outside.mkdir()
    (outside / "settings").write_text(SETTINGS)

    def run(name, *arguments, code):
        history = work / name
        environment = os.environ | {
            "CARGO_TARGET_DIR": str(target),
            "OUTSIDE_FAULT_DIR": str(outside),
        }
        command = ["cargo", "test", "-q", "--test", "faults", "--", "--history", str(history)]
        ran = subprocess.run(
            [*command, *arguments],
            cwd=package,
            env=environment,
            timeout=SECONDS,
            capture_output=True,
            text=True,
        )
        expect(ran.returncode == code, f"exit code {code}", ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr, records(history)

    seed = ["--exact", "one_of_five", "--seed", "7"]
    _, first = run("first", *seed, code=101)
    _, second = run("second", *seed, code=101)
    _, other = run("other", "--exact", "one_of_five", "--seed", "8", code=101)
    runs = (first, second, other)
    plans = [[fault["plan"] for fault in each["one_of_five"]["faults"]] for each in runs]
    expect(len(plans[0]) == 5, "five drawn and recorded faults", plans[0])
    expect(plans[0] == plans[1], "the same draws for the same seed", plans)
    expect(plans[0] != plans[2], "other draws for another seed", plans)

    printed, minimized = run("minimized", *seed, "--minimize=60s", code=101)
    sentence = minimized["one_of_five"]["minimized"]["description"]
    cause = "fails with 1 of 5 faults: lines 0 and 1 of settings swapped"
    expect(sentence == cause, cause, sentence)
    expect(cause in printed, "the cause in the output", printed)

    printed, killed = run("killed", "--exact", "killed", code=101)
    record = killed["killed"]
    expect((record["verdict"], record.get("signal")) == ("killed", 9), "a killed test", record)
    expect(len(record["faults"]) == 2, "two faults", record["faults"])
    expect((outside / "settings").read_text() == SETTINGS, "undone damage", printed)
    expect(not (outside / "lock").exists(), "a removed lock file", printed)
    print("a fault of another package is drawn, recorded, minimised, and undone after SIGKILL")


def records(history):
    found = {}
    for path in history.glob("**/records/*.json"):
        record = json.loads(path.read_text())
        found[record["name"]] = record
    return found


def expect(holds, expected, found):
    if not holds:
        sys.exit(f"expected {expected}, found:\n{found}")


main()
