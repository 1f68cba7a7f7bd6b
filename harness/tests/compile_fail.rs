//! Misuse of `#[chaos]` is a compile error with the messages in `ui/*.stderr`.

use libtest_mimic::{Arguments, Trial};
use std::process::{Command, ExitCode};

/// The version of the compiler that produced `ui/*.stderr`. With the environment variable
/// `TRYBUILD=overwrite`, this test rewrites these files.
const RECORDED_WITH: &str = "1.95.0";

const NAME: &str = "chaos_attribute_misuse_does_not_compile";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let found = compiler();
    let is_recorded = found == RECORDED_WITH;
    // The messages of another compiler differ in words and line breaks, so a comparison would fail.
    if !is_recorded && !arguments.list {
        eprintln!(
            "NOT CHECKED: {NAME}: the messages were recorded with rustc {RECORDED_WITH}, \
             and this is rustc {found}"
        );
    }
    let trial = Trial::test(NAME, || {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!is_recorded)]).exit_code()
}

/// Returns the version of the compiler that Cargo calls.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc has built this test");
    let line = String::from_utf8_lossy(&printed.stdout);
    line.split_whitespace()
        .nth(1)
        .unwrap_or("unknown")
        .to_owned()
}
