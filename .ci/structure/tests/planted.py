"""Writes packages into a temporary repository and runs the checks over them."""

import tempfile
import textwrap
import unittest
from pathlib import Path

from structure.command import Checks

HARNESS = """
    [package]
    name = "clarity-chaos"
"""


class PlantedTest(unittest.TestCase):
    def plant(self, files):
        """Writes the files, with a manifest unless they have one; gives the directory and names."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        if not any(name.endswith("Cargo.toml") for name in files):
            files = {"Cargo.toml": '[package]\nname = "planted"\n', **files}
        for name, text in files.items():
            path = Path(directory.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return directory.name, list(files)

    def check(self, files):
        """Gives the checks of a repository with these files."""
        return Checks(*self.plant(files))

    def circles(self, files):
        """Gives the modules of each circle as one string."""
        found = []
        for line in self.check(files).circles():
            head = line.split("\n")[0]
            found.append(head.rpartition("modules: ")[2] if "circle" in head else head)
        return found

    def harness(self, files):
        """Gives the checks of a harness whose `src` has these files."""
        below = {f"harness/src/{name}": text for name, text in files.items()}
        return self.check({"harness/Cargo.toml": HARNESS, **below})
