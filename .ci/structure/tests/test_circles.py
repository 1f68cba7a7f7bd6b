"""Circles of imports among siblings, and imports from the root file."""

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

    def test_a_module_at_a_path_of_one_system(self):
        files = {
            "src/lib.rs": '#[cfg_attr(unix, path = "unix.rs")] mod a; mod b;',
            "src/unix.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "use crate::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])

    def test_files_of_two_crates_are_reported_once(self):
        files = {
            "src/lib.rs": LIB,
            "src/main.rs": LIB,
            "src/a.rs": "use crate::b::B; pub struct A;",
            "src/b.rs": "use crate::a::A; pub struct B;",
        }
        self.assertEqual(self.circles(files), ["a, b"])
        self.assertEqual(len(list(self.check(files).explain("a", "b"))), 2)

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
        found = ["src/a.rs:1: imports up, from src/lib.rs: crate::Root"]
        self.assertEqual(self.circles(files), found)
        files["src/lib.rs"] = "mod a; generate!(Root);"
        self.assertEqual(self.circles(files), found, "a macro declares it")

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
