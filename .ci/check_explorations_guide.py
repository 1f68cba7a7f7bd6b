#!/usr/bin/env python3
"""Checks that the guide's page on explorations names each model of a loss of power and each option."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "harness/guide/explorations.md"
MODELS = ROOT / "harness/disk/src/power_loss.rs"
OPTIONS = ROOT / "harness/src/test/explore/exploration.rs"
MAPPING_OPTIONS = ROOT / "harness/src/test/explore/exploration/mapped_files.rs"
OPTION = r"^    pub fn (\w+)(?:<\w+>)?\(\s*(?:mut )?self\b"


def names(path, pattern, least):
    """Gives the names that the pattern finds in a source file."""
    found = re.findall(pattern, path.read_text(), re.MULTILINE)
    # A changed layout of the file must not make this check find nothing.
    if len(found) < least:
        sys.exit(f"error: expected at least {least} names in {path.relative_to(ROOT)}, found {found}")
    return found


def main():
    page = PAGE.read_text()
    models = names(MODELS, r"^    ([A-Z]\w+),$", 3)
    options = names(OPTIONS, OPTION, 4) + names(MAPPING_OPTIONS, OPTION, 2)
    missing = [f"the model PowerLoss::{model}" for model in models if f"`PowerLoss::{model}`" not in page]
    missing += [f"the option {option}" for option in options if not re.search(rf"\b{option}\(", page)]
    for each in missing:
        print(f"{PAGE.relative_to(ROOT)} does not name {each}")
    print(f"{len(models)} models and {len(options)} options: {len(missing)} not in the guide")
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
