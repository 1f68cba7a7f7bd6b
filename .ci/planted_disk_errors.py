#!/usr/bin/env python3
"""Plants errors in the models of a loss of power, and checks that the naive reference finds each.

Copies the workspace's package `clarity-chaos-disk`, changes one place of its code for each error,
and runs the differential test. A planted error that the test does not find fails this script.

    .ci/planted_disk_errors.py --programs 10000
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "harness/disk"

# The rule, the file, the code, and the code with the error.
ERRORS = [
    ("a: metadata is a prefix", "metadata.rs", "self.with(|(unit, _)| unit < prefix.end)", "self.with(|(unit, _)| unit != prefix.end)"),
    ("b: fsync of a file brings its names", "durable.rs", "self.keep_names(file);", "();"),
    ("b: and frees these names", "names.rs", "if parts.len() == before {", "if true || before == 0 {"),
    ("c: fdatasync brings no names", "durable.rs", "let is_full = kind == SyncKind::Full ||", "let is_full = true ||"),
    ("d: a rename out of a directory is whole", "renames.rs", "if *node == moved && slot.directory != directory)", "if *node == moved && slot.directory == directory)"),
    ("e: besides, any prefix", "metadata.rs", "_ => 0,", "_ => durable.committed,"),
    ("f: each sector of a write", "content.rs", "in sectors(write.range.start..write.end)", "in sectors(write.range.start..write.end.min(write.range.start + 1))"),
    ("f: each sector on its own", "content.rs", "number /= sector.versions.len();", "number /= 1;"),
    ("g: a length at the border of a block", "lengths.rs", "let mut lengths: Vec<usize> = borders.take_while(|border| *border < grown).collect();", "let mut lengths: Vec<usize> = borders.take(0).collect();"),
    ("f: a synced write brings its pages alone", "durable.rs", "if is_whole {", "if true {"),
    ("f: msync brings the pages of its range alone", "durable.rs", "let written = take_pages(&mut changes.dirty, range);", "let written = take_pages(&mut changes.dirty, None);"),
    ("g: a store makes no file longer", "content.rs", "if !is_hidden && !*is_store {", "if !is_hidden {"),
    ("h: growth does not overtake a truncation", "content.rs", "kept_pages = kept_pages.min(end);", "kept_pages = usize::MAX;"),
    ("h: the zeros of a truncation overtake it", "content.rs", "                        *zeros = zeroed;\n", "                        *zeros = 0..0;\n"),
    ("h: a growth overtakes the zeros of a truncation", "file_events.rs", "*found = set > *length || written > length.next_multiple_of(PAGE);", "*found = false;"),
    ("h: the zeros of a truncation are bytes of their page", "changes.rs", "self.dirty.insert(length / PAGE);", "();"),
    ("e: names of a synced file overtake others", "log_tree.rs", "self.logged.insert(node);", "();"),
    ("e: a replaced name can be missing", "metadata.rs", "included.add(*id, Extent::Removal);", "();"),
    ("i: unlink promises nothing", "durable.rs", "                self.change(slot.directory, index, false, false);\n", "                if node.is_none() {\n                    self.durable.parts.insert(id);\n                }\n                self.change(slot.directory, index, false, false);\n"),
    ("ext4_ordered: a sync commits only its own changes", "durable.rs", "units.partition_point(|unit| unit.index < last_change)", "units.len()"),
]


def test(package, target, programs):
    """Runs the differential test of a package; gives whether it passed, and its output."""
    command = [os.environ.get("CARGO", "cargo"), "test", "--release", "--test", "models", "--manifest-path", str(package / "Cargo.toml"), "--target-dir", str(target), "differential::models_have"]
    ended = subprocess.run(command, env=os.environ | {"PROGRAMS": str(programs), "RUSTFLAGS": "-Awarnings"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800)
    if "Running tests/models.rs" not in ended.stdout:
        sys.exit(f"error: the test did not run:\n{ended.stdout}")
    return ended.returncode == 0, ended.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=10_000, help="random programs for each error (default: 10000)")
    options = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        # The package inherits its version and lints, so the copy needs the workspace's manifest.
        manifest = (ROOT / "Cargo.toml").read_text()
        version = manifest.split("[workspace.package]", 1)[1].split("[", 1)[0]
        lints = manifest.split("[workspace.lints", 1)[1]
        lints = "[workspace.lints" + lints.split("\n[profile", 1)[0].split("\n[package]", 1)[0].split("\n[dependencies", 1)[0]
        (scratch / "Cargo.toml").write_text(f'[workspace]\nmembers = ["disk"]\nresolver = "3"\n[workspace.package]{version}\n{lints}\n')
        shutil.copyfile(ROOT / "Cargo.lock", scratch / "Cargo.lock")
        package = scratch / "disk"
        shutil.copytree(PACKAGE, package)
        passed, output = test(package, scratch / "target", options.programs)
        if not passed:
            sys.exit(f"error: the test fails without an error:\n{output}")
        for rule, name, right, wrong in ERRORS:
            path = package / "src" / name
            code = path.read_text()
            if code.count(right) != 1:
                sys.exit(f"error: {rule}: expected one place with {right!r} in {name}, found {code.count(right)}")
            path.write_text(code.replace(right, wrong))
            passed, _ = test(package, scratch / "target", options.programs)
            path.write_text(code)
            print(f"{'missed' if passed else 'found '}  {rule}", flush=True)
            if passed:
                missed.append(rule)
    if missed:
        sys.exit(f"error: {len(missed)} of {len(ERRORS)} planted errors were not found")


if __name__ == "__main__":
    main()
