"""Code that counts, and tests, comments and strings that do not."""

from .planted import PlantedTest

LIB = "mod a;\nmod b;\n"


class Parser(PlantedTest):
    def test_imports_of_tests_are_free(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": """
                pub struct B;
                #[cfg(test)] use crate::a::A;
                #[cfg(all(test, unix))] fn f() { crate::a::A; }
                #[cfg(test)] mod tests { use crate::a::A; }
                impl B { #[cfg(test)] fn of(a: crate::a::A) -> Map<A, B> { x } }
                struct C { #[cfg(test)] a: Map<u8, crate::a::A>, b: u8 }
            """,
        }
        self.assertEqual(self.circles(files), [])

    def test_files_for_tests_are_free(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "pub struct B; #[cfg(test)] mod tests; mod other;",
            "src/b/tests.rs": "use crate::a::A;",
            "src/b/other.rs": "#![cfg(test)] use crate::a::A;",
        }
        self.assertEqual(self.circles(files), [])

    def test_a_name_that_stands_for_a_module_in_tests_alone(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub mod clock { pub fn now() {} }",
            "src/b.rs": """
                #[cfg(test)] use crate::a::clock;
                #[cfg(not(test))] use std::time as clock;
                pub struct B;
                fn f() { clock::now() }
            """,
        }
        self.assertEqual(self.circles(files), [])

    def test_code_after_that_of_a_test_counts(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "pub struct B { #[cfg(test)] x: Map<A, B>, a: crate::a::A }",
        }
        self.assertEqual(self.circles(files), ["a, b"])
        files["src/b.rs"] = "pub struct B { #[cfg(test)] x: u8 } use crate::a::A;"
        self.assertEqual(self.circles(files), ["a, b"])
        files["src/b.rs"] = "#[cfg(test)] mod tests; pub struct B; use crate::a::A;"
        self.assertEqual(self.circles({**files, "src/b/tests.rs": ""}), ["a, b"])

    def test_code_of_any_condition_but_tests_counts(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": '#[cfg(any(test, feature = "x"))] use crate::a::A; pub struct B;',
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_comments_and_strings_are_free(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": r'''
                /// See [`crate::a::A`]. /* use crate::a::A; */
                /* nested /* use crate::a::A; */ use crate::a::A; */
                const X: &str = "use crate::a::A;";
                const Y: &str = r#"" use crate::a::A; "#;
                const Z: char = '"'; const W: &'static str = "\" use crate::a::A;";
                pub struct B;
            ''',
        }
        self.assertEqual(self.circles(files), [])

    def test_code_after_odd_literals_counts(self):
        for code in (
            "const X: char = '\"';",
            "const X: char = '\\'';",
            "const X: u8 = b'\"';",
            "fn f<'a>(x: &'a str) -> &'a str { 'outer: loop {} }",
            'const X: &str = r#"""#;',
            'const X: &[u8] = b"\\"";',
            "/* /* nested */ */",
            "fn r#type(x: f64) -> f64 { 1.0e-3 + x.0.1 + 1..2 }",
        ):
            files = {
                "src/lib.rs": LIB,
                "src/a.rs": "use crate::b::B; pub struct A;",
                "src/b.rs": code + ' use crate::a::A; const Y: &str = "";\npub struct B;',
            }
            self.assertEqual(self.circles(files), ["a, b"], code)
