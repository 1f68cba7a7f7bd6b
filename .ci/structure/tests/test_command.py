"""The exit code and the output of the command."""

import contextlib
import io
import subprocess
from pathlib import Path

from structure.command import main

from .planted import PlantedTest

CLEAN = {"src/lib.rs": "#![forbid(unsafe_code)]\n"}
BROKEN = {"src/lib.rs": "struct A;\nmod inner { struct A; }\n"}


class Command(PlantedTest):
    def run_main(self, files, *arguments, removed=()):
        directory, _ = self.plant(files)
        Path(directory, "untracked.rs").write_text("\n" * 401, encoding="utf-8")
        for command in (["init", "--quiet"], ["add", "Cargo.toml", "src"]):
            subprocess.run(["git", *command], cwd=directory, check=True)
        for name in removed:
            Path(directory, name).unlink()
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = main(["--root", directory, *arguments])
        return code, output.getvalue()

    def test_nothing_is_printed_where_all_holds(self):
        self.assertEqual(self.run_main(CLEAN), (0, ""))

    def test_a_file_that_was_deleted_is_not_checked(self):
        files = {**CLEAN, "src/deleted.rs": "\n" * 401}
        self.assertEqual(self.run_main(files, removed=["src/deleted.rs"]), (0, ""))

    def test_a_finding_fails(self):
        code, output = self.run_main(BROKEN)
        self.assertEqual(code, 1)
        self.assertEqual([line.split(":")[0] for line in output.splitlines()], ["names", "unsafe"])

    def test_only_the_chosen_checks_run(self):
        self.assertEqual(self.run_main(BROKEN, "--only", "circles,length"), (0, ""))
        self.assertEqual(self.run_main(BROKEN, "--only", "names")[0], 1)

    def test_a_summary_counts(self):
        code, output = self.run_main(BROKEN, "--summary")
        self.assertEqual(code, 1)
        self.assertIn("names: 1\nunsafe: 1\n", output)

    def test_an_unknown_check_or_file_is_an_error(self):
        for arguments in (("--only", "nonsense"), ("--prose", "src/nonsense.rs")):
            errors = io.StringIO()
            with self.assertRaises(SystemExit) as raised, contextlib.redirect_stderr(errors):
                self.run_main(CLEAN, *arguments)
            self.assertEqual(raised.exception.code, 2)
            self.assertIn("nonsense", errors.getvalue())
