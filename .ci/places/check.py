#!/usr/bin/env python3
"""Checks where records and coverage data lie, for the ways in which Cargo and nextest run tests.

Usage: .ci/places/check.py [TARGET_DIR]

The package is made in a temporary directory. TARGET_DIR is Cargo's; `target` has most dependencies
built already. The package is run with a build directory of its own, with directories from Cargo's
configuration, in another checkout (as nextest does with `--workspace-remap`), and with coverage
but without `LLVM_PROFILE_FILE`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
MANIFEST = f"""\
[package]
name = "places"
version = "0.0.0"
edition = "2024"
publish = false

[dev-dependencies]
clarity-chaos = {{ path = "{REPOSITORY / 'harness'}" }}

[[test]]
name = "chaos"
harness = false

[workspace]
"""
TESTS = """\
//! Tests that pass and print nothing.

/// Passes without the sandbox.
#[clarity_chaos::chaos]
fn open() {}

/// Passes in the sandbox.
#[clarity_chaos::chaos(non_destructive)]
fn closed() {}

clarity_chaos::main!();
"""
SECONDS = 1200
# The variables with which Cargo or another check could disturb this one.
FOREIGN = ("CARGO_", "CHAOS_", "LLVM_PROFILE_FILE", "RUSTFLAGS")


def run(package, *command, **variables):
    """Runs a command in the package. Gives its standard output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN) or name == "CARGO_HOME"}
    ran = subprocess.run(command, cwd=package, env=kept | variables, timeout=SECONDS, capture_output=True, text=True)
    expect(ran.returncode == 0, "exit code 0", ran.stdout + ran.stderr)
    return ran.stdout


def expect(holds, expected, found):
    if not holds:
        sys.exit(f"expected {expected}, found:\n{found}")


def expect_records(history):
    """Expects the record of each test in a history. Removes the history."""
    names = sorted(path.name for path in (history / "records").glob("*"))
    expect(names == ["closed.json", "open.json"], f"two records in {history}", names)
    shutil.rmtree(history)


def check(package, target, work):
    default = package / "target/chaos/places/chaos"
    in_target = target / "chaos/places/chaos"
    shutil.rmtree(in_target, ignore_errors=True)
    test = ["cargo", "test", "-q", "--test", "chaos"]

    run(package, *test, CARGO_TARGET_DIR=str(target))
    expect_records(in_target)
    print("CARGO_TARGET_DIR: the records are there")

    run(package, *test, CARGO_BUILD_BUILD_DIR=str(target))
    expect_records(default)
    expect(not in_target.exists(), "no history in the build directory", in_target)
    build = ["cargo", "test", "--no-run", "-q", "--test", "chaos", "--message-format=json"]
    messages = run(package, *build, CARGO_BUILD_BUILD_DIR=str(target)).splitlines()
    binaries = [message.get("executable") for message in map(json.loads, messages) if message.get("target", {}).get("name") == "chaos"]
    binary = pathlib.Path(binaries[-1])
    run(package, str(binary))
    expect_records(default)
    print("CARGO_BUILD_BUILD_DIR: the records are in the target directory")

    (package / ".cargo").mkdir()
    settings = f'[build]\nbuild-dir = "{target}"\ntarget-dir = "{work}/elsewhere"\n'
    (package / ".cargo/config.toml").write_text(settings)
    run(package, *test)
    expect_records(work / "elsewhere/chaos/places/chaos")
    (package / ".cargo/config.toml").unlink()
    print("configured directories: the records are in the target directory")

    # As nextest: the binary of an archive, with the directory of another checkout.
    moved = work / "moved"
    shutil.copytree(package, moved, ignore=shutil.ignore_patterns("target"))
    archived = work / "archive/target/debug/deps/chaos"
    archived.parent.mkdir(parents=True)
    shutil.copy(binary, archived)
    package.rename(work / "gone")
    run(moved, str(archived), NEXTEST="1", CARGO_MANIFEST_DIR=str(moved))
    expect_records(moved / "target/chaos/places/chaos")
    expect(not package.exists(), "no history in the old checkout", package)
    (work / "gone").rename(package)
    print("another checkout: the records are in its target directory")

    build = ["cargo", "rustc", "-q", "--profile", "test", "--test", "chaos", "--message-format=json", "--", "-Cinstrument-coverage"]
    messages = run(package, *build, CARGO_TARGET_DIR=str(target)).splitlines()
    binaries = [message.get("executable") for message in map(json.loads, messages) if message.get("target", {}).get("name") == "chaos"]
    for isolation in ("fork", "exec"):
        for sandbox in ("none", "all"):
            options = ["--isolation", isolation, "--sandbox", sandbox]
            run(package, binaries[-1], *options, CARGO_TARGET_DIR=str(target))
            for path in (in_target / "records").glob("*"):
                output = json.loads(path.read_text())["output"]["text"]
                expect(output == "", "no output", output)
            profiles = [path.stat().st_size for path in in_target.glob("profiles/*.profraw")]
            expect(profiles and min(profiles) > 0, "coverage data", profiles)
            shutil.rmtree(in_target / "profiles")
            expect_records(in_target)
            # The runner itself writes where LLVM does by default.
            own = list(package.glob("default_*.profraw"))
            expect(len(own) == 1, "coverage data of the runner alone", own)
            own[0].unlink()
    # Where the directory cannot be made, a test still prints nothing.
    printed = run(package, binaries[-1], "--nocapture", "--history", "/dev/null/history")
    expect("LLVM" not in printed, "nothing of LLVM's", printed)
    print("coverage without LLVM_PROFILE_FILE: the data is beside the records, and no test prints an error")


def main():
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "target").resolve()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work).resolve()
        package = work / "package"
        (package / "tests").mkdir(parents=True)
        (package / "src").mkdir()
        (package / "src/lib.rs").touch()
        (package / "Cargo.toml").write_text(MANIFEST)
        (package / "tests/chaos.rs").write_text(TESTS)
        # The same versions as in the workspace, and their artifacts.
        shutil.copy(REPOSITORY / "Cargo.lock", package)
        check(package, target, work)


main()
