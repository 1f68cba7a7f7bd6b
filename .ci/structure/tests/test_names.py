"""Names of types that one crate declares twice."""

from .planted import PlantedTest


class Names(PlantedTest):
    def names(self, *texts, **files):
        """Gives the names that are declared twice among modules with these texts."""
        modules = {f"src/m{i}.rs": text for i, text in enumerate(texts)}
        root = "".join(f"mod m{i};" for i in range(len(texts)))
        checks = self.check({"src/lib.rs": root, **modules, **files})
        return [line.split("`")[1] for line in checks.names()]

    def test_a_name_that_is_declared_twice(self):
        for one in ("struct Kept;", "enum Kept { A }", "trait Kept {}", "type Kept = u8;"):
            self.assertEqual(self.names(one, "union Kept { a: u8 }"), ["Kept"])

    def test_places_are_named(self):
        checks = self.check({"src/lib.rs": "struct A;\nmod inner { struct A; }"})
        self.assertEqual(
            list(checks.names()),
            ["src/lib.rs:1: `A` is declared 2 times: src/lib.rs:1, src/lib.rs:2"],
        )

    def test_types_in_tests_and_functions_count(self):
        self.assertEqual(
            self.names(
                "struct A; struct B;",
                "#[cfg(test)] mod tests { struct A; }",
                "fn f() { struct B; }",
            ),
            ["A", "B"],
        )

    def test_errors_and_results_may_be_many(self):
        one, other = "struct Error; type Result = u8;", "enum Error {} type Result = u8;"
        self.assertEqual(self.names(one, other), [])

    def test_associated_types_are_no_names(self):
        self.assertEqual(
            self.names(
                "impl Iterator for X { type Item = u8; fn f() -> impl T { x } type Other = u8; }",
                "trait T { type Item; } impl T for Y { type Item = u8; type Other = u8; }",
            ),
            [],
        )

    def test_twins_under_exclusive_conditions_are_one(self):
        linux = '#[cfg(target_os = "linux")]'
        self.assertEqual(
            self.names(
                f'{linux} struct A; #[cfg(not(target_os = "linux"))] struct A;',
                "#[cfg(unix)] struct B; #[cfg(windows)] struct B; "
                "#[cfg(not(any(unix, windows)))] struct B;",
                f"{linux} mod linux {{ struct C; }} #[cfg(not(unix))] mod portable {{ struct C; }}",
                f'{linux} struct D; #[cfg(target_os = "macos")] struct D;',
            ),
            [],
        )

    def test_twins_under_conditions_that_can_meet_are_two(self):
        self.assertEqual(
            self.names(
                '#[cfg(unix)] struct A; #[cfg(target_os = "linux")] struct A;',
                '#[cfg(unix)] struct B; #[cfg(feature = "x")] struct B;',
                "struct C; #[cfg(windows)] struct C;",
            ),
            ["A", "B", "C"],
        )

    def test_twins_in_files_under_exclusive_conditions_are_one(self):
        files = {
            "src/lib.rs": "#[cfg(unix)] mod unix; #[cfg(not(unix))] mod portable;",
            "src/unix.rs": "mod inner;",
            "src/unix/inner.rs": "pub struct Supervisor;",
            "src/portable.rs": "pub struct Supervisor;",
        }
        self.assertEqual(list(self.check(files).names()), [])

    def test_each_root_is_a_crate(self):
        files = {
            "src/lib.rs": "struct A;",
            "src/main.rs": "struct A;",
            "tests/one.rs": "struct A;",
            "tests/two.rs": "struct A;",
        }
        self.assertEqual(list(self.check(files).names()), [])

    def test_generated_code_declares_nothing(self):
        self.assertEqual(self.names("struct A;", "fn f() { quote! { struct A; } }"), [])

    def test_a_file_that_is_included_twice_declares_once(self):
        path = '#[path = "m0.rs"] mod again;'
        self.assertEqual(self.names("struct A;", path, **{"src/lib.rs": "mod m0; mod m1;"}), [])
