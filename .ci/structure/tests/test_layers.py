"""Layers of the harness, and dependencies of its packages."""

from .planted import HARNESS, PlantedTest


class Layers(PlantedTest):
    def test_an_import_that_points_up(self):
        checks = self.harness(
            {
                "lib.rs": "mod os; mod sandbox;",
                "os.rs": "use crate::sandbox::Rules;",
                "sandbox.rs": "pub struct Rules;",
            }
        )
        self.assertEqual(
            list(checks.layers()),
            [
                "harness/src/os.rs:1: layer `os` must not import `sandbox`: crate::sandbox::Rules",
            ],
        )

    def test_an_import_that_points_up_through_the_root(self):
        checks = self.harness(
            {
                "lib.rs": "mod os; mod sandbox; pub(crate) use sandbox::*;",
                "os.rs": "mod fork;",
                "os/fork.rs": "fn f() -> crate::Rules { x }",
                "sandbox.rs": "pub struct Rules;",
            }
        )
        (found,) = checks.layers()
        self.assertIn("harness/src/os/fork.rs:1: layer `os` must not import `sandbox`", found)

    def test_imports_that_point_down(self):
        checks = self.harness(
            {
                "lib.rs": "mod os; mod sandbox; mod runner; pub mod guide; pub use runner::main;",
                "os.rs": "pub fn fork() {}",
                "runner.rs": "use crate::os::fork; pub fn main() {}",
                "sandbox.rs": "use crate::os;",
                "guide.rs": "",
            }
        )
        self.assertEqual(list(checks.layers()), [])

    def test_an_import_past_the_table(self):
        checks = self.harness(
            {
                "lib.rs": "mod sandbox; mod runner;",
                "runner.rs": "use crate::sandbox::Rules;",
                "sandbox.rs": "pub struct Rules;",
            }
        )
        (found,) = checks.layers()
        self.assertIn("layer `runner` must not import `sandbox`", found)

    def test_a_module_without_a_layer(self):
        checks = self.harness({"lib.rs": "mod os;\nmod stray;", "os.rs": "", "stray.rs": ""})
        self.assertEqual(
            list(checks.layers()), ["harness/src/lib.rs:2: module `stray` is in no layer"]
        )

    def test_a_crate_that_a_layer_must_not_import(self):
        record = {
            "harness/Cargo.toml": HARNESS,
            "harness/src/lib.rs": "mod os; mod registration; pub use clarity_chaos_record::Seed;",
            "harness/src/os.rs": "\nfn f() { clarity_chaos_record::write() } use crate::Seed;",
            "harness/src/registration.rs": "use clarity_chaos_record::Seed;",
            "harness/record/Cargo.toml": '[package]\nname = "clarity-chaos-record"',
            "harness/record/src/lib.rs": "pub struct Seed;",
        }
        message = "harness/src/os.rs:2: layer `os` must not import"
        self.assertEqual(
            list(self.check(record).layers()),
            [
                f"{message} clarity_chaos_record::write  (of clarity-chaos-record)",
                f"{message} crate::Seed  (of clarity-chaos-record)",
            ],
        )

    def test_a_crate_that_another_must_not_import(self):
        files = {
            "harness/Cargo.toml": HARNESS,
            "harness/src/lib.rs": "pub struct Context;",
            "harness/record/Cargo.toml": """
                [package]
                name = "clarity-chaos-record"
                [dev-dependencies]
                up = { package = "clarity-chaos", path = ".." }
            """,
            "harness/record/src/lib.rs": "use up::Context; #[cfg(test)] mod tests { use up; }",
        }
        self.assertEqual(
            list(self.check(files).layers()),
            [
                "harness/record/src/lib.rs:1: `clarity-chaos-record` must not import "
                "up::Context  (of clarity-chaos)"
            ],
        )


class Dependencies(PlantedTest):
    def found(self, name, dependencies, kind="dependencies"):
        return list(
            self.check(
                {
                    "Cargo.toml": '[package]\nname = "clarity-server"',
                    "harness/Cargo.toml": HARNESS,
                    "harness/src/lib.rs": "",
                    "harness/x/Cargo.toml": f'[package]\nname = "{name}"\n[{kind}]\n{dependencies}',
                    "harness/x/src/lib.rs": "",
                }
            ).layers()
        )

    def test_a_dependency_that_points_up(self):
        self.assertEqual(
            self.found("clarity-chaos-record", 'clarity-chaos.path = ".."\nserde = "1"'),
            ["harness/x/Cargo.toml: `clarity-chaos-record` must not depend on `clarity-chaos`"],
        )

    def test_a_dependency_under_another_name(self):
        self.assertEqual(
            self.found("clarity-chaos-record", 'up = { package = "clarity-chaos", path = ".." }'),
            ["harness/x/Cargo.toml: `clarity-chaos-record` must not depend on `clarity-chaos`"],
        )

    def test_a_dependency_of_one_target(self):
        self.assertEqual(
            self.found("clarity-chaos-oracles", 'serde = "1"', "target.'cfg(unix)'.dependencies"),
            ["harness/x/Cargo.toml: `clarity-chaos-oracles` must not depend on `serde`"],
        )

    def test_oracles_depend_on_inventory_alone(self):
        self.assertEqual(self.found("clarity-chaos-oracles", 'inventory = "0.3"'), [])

    def test_a_package_in_no_row(self):
        (found,) = self.found("clarity-chaos-new", "")
        self.assertIn("`clarity-chaos-new` is in no row", found)

    def test_the_server_is_unknown_even_to_tests(self):
        (found,) = self.found("clarity-chaos-record", 'rten = "1"', "dev-dependencies")
        self.assertIn("knows the server", found)


class KnowledgeOfServer(PlantedTest):
    def found(self, text):
        checks = self.harness({"lib.rs": "mod os;", "os.rs": text})
        return [line.rpartition(": ")[2] for line in checks.layers()]

    def test_the_engine(self):
        self.assertEqual(self.found('const POOLS: &str = "rten-";'), ['"rten-"'])
        self.assertEqual(self.found("use rten_tensor::Tensor;"), ["rten_tensor"])

    def test_the_field(self):
        self.assertEqual(self.found('fn f() { fields.get("model") }'), ['"model"'])
        self.assertEqual(self.found("fn f() { event.model }"), ["model"])

    def test_words_that_only_look_like_it(self):
        self.assertEqual(
            self.found(
                """
                // rten has a field `model`.
                mod shorten;
                fn shortened(model: PowerLoss) { model.keep("a model of power loss"); }
                #[cfg(test)]
                mod tests { const TAG: &str = "model"; }
                """
            ),
            [],
        )

    def test_the_field_in_a_script(self):
        checks = self.harness(
            {"lib.rs": "", "page.js": "// no model\nconst { model } = fields;\nremodel();"}
        )
        (found,) = checks.layers()
        self.assertTrue(found.startswith("harness/src/page.js:2: "), found)
