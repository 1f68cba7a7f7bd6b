"""Imports that hide a circle, and names that only look like imports."""

from .planted import PlantedTest

LIB = "mod a;\nmod b;\n"


class Imports(PlantedTest):
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

        files["src/b.rs"] = "use super::*; pub struct B; fn f() { struct State; State::new() }"
        self.assertEqual(self.circles(files), [], "a type of the function")

    def test_a_variant_is_not_the_item_of_its_name(self):
        files = {
            "src/lib.rs": LIB + "mod c;",
            "src/a.rs": "pub use crate::c::Other; pub enum Kind { Other }",
            "src/b.rs": "use crate::a::Kind; fn f() { Kind::Other }",
            "src/c.rs": "pub struct Other;",
        }
        self.assertEqual(list(self.check(files).explain("b", "c")), [])

    def test_a_glob_does_not_bring_invisible_items(self):
        files = {
            "src/lib.rs": LIB + "mod top;",
            "src/top.rs": "pub mod inner { pub(super) fn open() {} pub(self) fn close() {} }",
            "src/a.rs": "use crate::b::*; use crate::top::inner::*; fn f() { open(); close() }",
            "src/b.rs": "pub fn open() {} pub fn close() {}",
        }
        lines = list(self.check(files).explain("a", "top"))
        self.assertEqual(lines, ["a -> top  src/a.rs:1: crate::top::inner::*  (is top::inner)"])

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

    def test_through_a_rename_of_a_module(self):
        files = {
            "src/lib.rs": LIB + "pub(crate) use {a as first, b as second};",
            "src/a.rs": "use crate::second::B; pub struct A;",
            "src/b.rs": "use crate::first::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_the_name_of_the_crate(self):
        files = {
            "src/lib.rs": LIB + "extern crate self as planted;",
            "src/a.rs": "use planted::b::B; pub struct A;",
            "src/b.rs": "use planted::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_attribute(self):
        files = {
            "src/lib.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "pub struct B; #[case(size = crate::a::A::size)] fn f() {}",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_through_an_item_in_a_macro_call(self):
        files = {
            "src/lib.rs": LIB + "pub(crate) use {a::*, b::*};",
            "src/a.rs": "use crate::B; thread_local! { pub static A: u8 = 0; }",
            "src/b.rs": "use crate::A; pub struct B;",
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

    def test_a_private_module_is_not_the_function_of_its_name(self):
        files = {
            "src/lib.rs": "mod a; mod b;",
            "src/a.rs": "mod run; pub use crate::b::run;",
            "src/a/run.rs": "pub struct R;",
            "src/b.rs": "pub fn run() {} use crate::a::run;",
        }
        self.assertEqual(self.circles(files), [])
