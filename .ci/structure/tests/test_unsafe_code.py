"""`unsafe` outside of `harness/src/os`."""

from .planted import PlantedTest

FORBID = "#![forbid(unsafe_code)]\n"


class UnsafeCode(PlantedTest):
    def found(self, files):
        return [line.replace("harness/src/", "") for line in self.harness(files).unsafe()]

    def test_unsafe_in_the_operating_system_layer_alone(self):
        files = {
            "lib.rs": "#![deny(unsafe_code)] mod os; #[forbid(unsafe_code)] mod test; mod guide;",
            "os.rs": "mod fork;",
            "os/fork.rs": "#![expect(unsafe_code)] #[unsafe(no_mangle)] fn f() { unsafe {} }",
            "test.rs": "",
            "guide.rs": FORBID,
        }
        self.assertEqual(self.found(files), [])

    def test_unsafe_elsewhere(self):
        files = {
            "lib.rs": "#![deny(unsafe_code)] #[forbid(unsafe_code)] mod test;",
            "test.rs": """
                #![expect(unsafe_code, reason = "x")]
                fn f() { unsafe {} }
                #[no_mangle] fn g() {}
                fn h() { x.expect("unsafe"); }
            """,
        }
        self.assertEqual(
            self.found(files),
            [
                "test.rs:2: `expect(unsafe_code)` outside of os",
                "test.rs:3: `unsafe` outside of os",
                "test.rs:4: `no_mangle` outside of os",
            ],
        )

    def test_unsafe_within_the_conditions_of_an_attribute(self):
        files = {
            "lib.rs": "#![deny(unsafe_code)] #[forbid(unsafe_code)] mod test;",
            "test.rs": "#![cfg_attr(unix, allow(dead_code, unsafe_code))]",
        }
        self.assertEqual(self.found(files), ["test.rs:1: `allow(unsafe_code)` outside of os"])

    def test_a_module_that_does_not_forbid_it(self):
        files = {"lib.rs": "#![deny(unsafe_code)]\nmod test;", "test.rs": ""}
        self.assertEqual(
            self.found(files), ["lib.rs:2: module `test` is not under `#[forbid(unsafe_code)]`"]
        )

    def test_a_root_that_does_not_deny_it(self):
        self.assertEqual(self.found({"lib.rs": ""}), ["lib.rs:1: lacks `#![deny(unsafe_code)]`"])

    def test_every_other_root_forbids_it(self):
        files = {
            "Cargo.toml": '[package]\nname = "clarity-server"',
            "src/lib.rs": FORBID,
            "src/main.rs": "#![deny(unsafe_code)]",
            "tests/one.rs": "fn f() { unsafe {} }",
            "benches/Cargo.toml": '[package]\nname = "measures"',
            "benches/src/main.rs": "fn f() { unsafe {} }",
        }
        self.assertEqual(
            list(self.check(files).unsafe()), ["src/main.rs:1: lacks `#![forbid(unsafe_code)]`"]
        )
