"""Comments, names of tests and the length of files."""

from .planted import PlantedTest


class Length(PlantedTest):
    def test_a_file_that_is_too_long(self):
        checks = self.check({"src/lib.rs": "\n" * 400, "tests/long.rs": "\n" * 401})
        self.assertEqual(list(checks.length()), ["tests/long.rs: 401 lines, 1 too many"])


class Prose(PlantedTest):
    def test_a_comment_that_is_too_wide(self):
        fits = "    // " + "x" * 93
        checks = self.check({"src/lib.rs": f"//\n{fits}\n{fits}é\n"})
        self.assertEqual(list(checks.prose()), ["src/lib.rs:3: comment of 101 columns"])

    def test_code_and_other_directories_may_be_wide(self):
        wide = "const X: u8 = 0; " + "/" * 100
        checks = self.check({"src/lib.rs": wide, "tests/one.rs": "// " + "x" * 100})
        self.assertEqual(list(checks.prose()), [])

    def test_too_many_relatives(self):
        comments = ["/// What holds.", "//! Nobody."] + ["// Empty lines do not count.", "//"] * 17
        found = list(self.check({"src/lib.rs": "\n".join(comments)}).prose())
        self.assertEqual(found[1:], ["src/lib.rs:1: /// What holds."])
        self.assertIn("5.3 % of 19 comment lines", found[0])

    def test_a_few_relatives(self):
        comments = ["// Whoever reads."] + ["// Line."] * 19
        self.assertEqual(list(self.check({"src/lib.rs": "\n".join(comments)}).prose()), [])

    def test_a_test_name_that_is_too_long(self):
        fits, long = "a" * 60, "b" * 61
        for attribute in ("test", "tokio::test(flavor = x)", "chaos(slow)", "clarity_chaos::chaos"):
            test = f"#[{attribute}]\n#[ignore]\nasync fn {long}() {{}}\n"
            others = f"#[test] fn {fits}() {{}}\nfn c{long}() {{}}"
            checks = self.check({"tests/one.rs": test + others})
            self.assertEqual(
                list(checks.prose()), [f"tests/one.rs:3: test name of 61 characters: {long}"]
            )

    def test_the_findings_of_one_file(self):
        checks = self.check({"src/lib.rs": "// what\n", "src/main.rs": "// who\n"})
        self.assertEqual(list(checks.prose_of(["src/main.rs"])), ["src/main.rs:1: // who"])
