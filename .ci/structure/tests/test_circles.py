"""Circles of imports, open and hidden."""

from .planted import PlantedTest

LIB = "mod a;\nmod b;\n"


class Circles(PlantedTest):
    def test_two_modules_that_import_each_other(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "use crate::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_one_direction_is_no_circle(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "pub struct B;",
        }
        self.assertEqual(self.circles(files), [])

    def test_three_modules_with_a_shortest_example(self):
        files = {
            "src/lib.rs": "mod a; mod b; mod c;",
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "use crate::c::C; pub struct B;",
            "src/c.rs": "\nuse crate::a::A; use crate::b::B; pub struct C;",
        }
        (found,) = self.check(files).circles()
        self.assertIn("a, b, c", found)
        self.assertEqual(len(found.split("\n")), 3, "b and c are the shortest circle")
        self.assertIn("c -> b  src/c.rs:2: crate::b::B", found)

    def test_through_a_re_export_of_the_parent(self):
        files = {
            "src/lib.rs": LIB + "pub(crate) use a::A;\npub(crate) use b::B;",
            "src/a.rs": "use crate::B; pub struct A;",
            "src/b.rs": "use crate::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_re_exports_of_several_modules(self):
        files = {
            "src/lib.rs": "mod a; mod b; mod first; mod second;",
            "src/first.rs": "pub(crate) use crate::second::B;",
            "src/second.rs": "pub(crate) use crate::b::B;",
            "src/a.rs": "use crate::first::B; pub struct A;",
            "src/b.rs": "use crate::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_a_glob_re_export(self):
        files = {
            "src/lib.rs": LIB + "pub use a::*;\npub(crate) use b::*;",
            "src/a.rs": "use crate::B; pub struct A;",
            "src/b.rs": "pub struct B; fn f() { crate::A; }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_import_by_glob(self):
        files = {
            "src/lib.rs": LIB + "use a::open;\nuse b::B;",
            "src/a.rs": "use super::*; pub fn open() -> B { B }",
            "src/b.rs": "use super::*; pub struct B; fn f() { open() }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_a_glob_does_not_bring_local_names_or_methods(self):
        files = {
            "src/lib.rs": LIB + "use a::{open, State};\nuse b::B;",
            "src/a.rs": "use super::*; pub fn open() -> B { B } pub struct State;",
            "src/b.rs": """
                use super::*;
                pub struct B;
                enum Kind { State(u8), Other }
                fn f(file: File, open: bool) { file.open(); let x = open; }
            """,
        }
        self.assertEqual(self.circles(files), [])
        files["src/b.rs"] = "use super::*; pub struct B; fn open() {} fn f() { open() }"
        self.assertEqual(self.circles(files), [], "the module's own function")
        files["src/b.rs"] = "use super::*; pub struct B; fn f() { let a = || 1; a() }"
        self.assertEqual(self.circles(files), [], "a closure with the name of a module")

    def test_through_a_glob_in_a_function(self):
        files = {
            "src/lib.rs": LIB + "mod prelude;",
            "src/prelude.rs": "pub use crate::a::A; pub use crate::b::B;",
            "src/a.rs": "pub struct A; fn f() { use crate::prelude::*; B::new() }",
            "src/b.rs": "pub struct B; fn f() { use crate::prelude::*; A::new() }",
        }
        self.assertIn("a, b, prelude", self.circles(files))
        edges = "\n".join(self.check(files).edges())
        self.assertIn("a -> b", edges)
        self.assertIn("b -> a", edges)

    def test_through_an_import_in_a_function(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "pub fn f() { use crate::b::g; g() }",
            "src/b.rs": "pub fn g() { use crate::a::f; f() }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_a_rename(self):
        files = {
            "src/lib.rs": LIB + "pub(crate) use a::A as First;",
            "src/a.rs": "use crate::b as other; pub struct A(other::B);",
            "src/b.rs": "use crate::First; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_a_path_in_code(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "pub fn f() { let b = 0..super::b::MOST; }",
            "src/b.rs": "pub const MOST: u8 = 1; fn g() { fn inner() { use crate::a; a::f() } }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_the_body_of_a_macro(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "macro_rules! m { () => { $crate::b::g() } } pub(crate) use m;",
            "src/b.rs": "pub fn g() {} fn h() { crate::a::m!() }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_exported_macro(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::g; #[macro_export] macro_rules! m { () => {} }",
            "src/b.rs": "pub fn g() {} fn h() { crate::m!() }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_a_macro_in_textual_scope(self):
        files = {
            "src/lib.rs": "#[macro_use] mod a; mod b;",
            "src/a.rs": "use crate::b::g; macro_rules! m { () => {} }",
            "src/b.rs": "pub fn g() {} fn h() { m!() }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_a_string_of_serde(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": 'pub struct A { #[serde(with = "crate::b::text")] x: u8 }',
            "src/b.rs": "pub mod text {} use crate::a::A;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_item_that_a_macro_generates(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "generate!(A);",
            "src/b.rs": "use crate::a::A; generate!(B); mod c;",
            "src/b/c.rs": "",
        }
        self.assertEqual(self.circles(files), [])
        files["src/a.rs"] = "generate!(A); fn f() { crate::b::B::new() }"
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_inline_module(self):
        files = {
            "src/lib.rs": LIB + "mod all { pub use crate::a::A; }",
            "src/a.rs": "use crate::b::inner::B; pub struct A;",
            "src/b.rs": "pub mod inner { pub struct B; use super::super::all::A; }",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_parent_and_child_are_free(self):
        files = {
            "src/lib.rs": "mod a;",
            "src/a.rs": "mod child; use child::B; pub struct A;",
            "src/a/child.rs": "use super::A; use crate::a; pub struct B;",
        }
        self.assertEqual(self.circles(files), [])

    def test_siblings_two_levels_down(self):
        files = {
            "src/lib.rs": "mod top;",
            "src/top/mod.rs": "mod mid;",
            "src/top/mid.rs": "mod a; mod b;",
            "src/top/mid/a.rs": "use super::b::B; pub struct A;",
            "src/top/mid/b.rs": "use super::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["top::mid::a, top::mid::b"])

    def test_cousins(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "pub mod x; pub mod w;",
            "src/a/x.rs": "use crate::b::y::Y;",
            "src/a/w.rs": "pub struct W;",
            "src/b.rs": "pub mod y; pub mod z;",
            "src/b/y.rs": "pub struct Y;",
            "src/b/z.rs": "use crate::a::w::W;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

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

    def test_a_private_module_is_not_the_function_of_its_name(self):
        files = {
            "src/lib.rs": "mod a; mod b;",
            "src/a.rs": "mod run; pub use crate::b::run;",
            "src/a/run.rs": "pub struct R;",
            "src/b.rs": "pub fn run() {} use crate::a::run;",
        }
        self.assertEqual(self.circles(files), [])

    def test_modules_at_a_given_path(self):
        files = {
            "src/lib.rs": """
                #[path = "other/place.rs"] mod a;
                #[path = "dir"] mod in_dir { pub mod b; }
            """,
            "src/other/place.rs": "use crate::in_dir::b::B; pub struct A;",
            "src/dir/b.rs": "use crate::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, in_dir::b"])

    def test_a_module_without_a_file_is_reported(self):
        found = self.circles({"src/lib.rs": "\nmod a;"})
        self.assertEqual(found, ["src/lib.rs:2: no file for this module: src/a.rs"])

    def test_each_root_is_a_crate(self):
        files = {
            "src/lib.rs": "pub mod a;",
            "src/a.rs": "pub struct A;",
            "src/main.rs": "mod b; mod c;",
            "src/b.rs": "use crate::c::C; pub struct B;",
            "src/c.rs": "use crate::b::B; pub struct C;",
            "tests/suite/main.rs": "mod d; mod e;",
            "tests/suite/d.rs": "use crate::e::E; pub struct D;",
            "tests/suite/e.rs": "use crate::d::D; pub struct E;",
        }
        self.assertEqual(self.circles(files), ["b, c", "d, e"])


class FromRoot(PlantedTest):
    def test_an_item_of_the_root_is_an_import_up(self):
        files = {"src/lib.rs": "mod a; pub struct Root;", "src/a.rs": "use crate::Root;"}
        self.assertEqual(
            self.circles(files), ["src/a.rs:1: imports up, from src/lib.rs: crate::Root"]
        )

    def test_macros_and_re_exports_of_the_root_are_free(self):
        files = {
            "src/lib.rs": "macro_rules! m { () => {} } mod a; pub use std::fmt; pub use a::A;",
            "src/a.rs": "use crate::fmt; use crate::A; pub struct A; fn f() { m!() }",
        }
        self.assertEqual(self.circles(files), [])


class Explanations(PlantedTest):
    FILES = {
        "src/lib.rs": LIB,
        "src/a.rs": "use crate::b::{B, C}; pub struct A;",
        "src/b.rs": "use crate::a::A; pub struct B; pub struct C;",
    }

    def test_explain_lists_the_imports_in_both_directions(self):
        for pair in (("a", "b"), ("src/a.rs", "crate::b")):
            lines = [line.split("  ")[1] for line in self.check(self.FILES).explain(*pair)]
            self.assertEqual(
                lines,
                ["src/a.rs:1: crate::b::B", "src/a.rs:1: crate::b::C", "src/b.rs:1: crate::a::A"],
            )

    def test_edges_lists_the_thinnest_first(self):
        lines = [line.split("  ")[1:] for line in self.check(self.FILES).edges()]
        counts = [line.split()[0] for line in list(self.check(self.FILES).edges())[1:]]
        self.assertEqual(counts, ["1", "2"], lines)
