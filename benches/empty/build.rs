//! Generates the same empty tests for the chaos harness, libtest and libtest-mimic. The name of the
//! package, `empty-COUNT`, contains the number of tests.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../empty/build.rs");
    let package = env::var("CARGO_PKG_NAME")?;
    let count: usize = package
        .strip_prefix("empty-")
        .ok_or_else(|| format!("expected a package called empty-COUNT, found {package}"))?
        .parse()?;
    let (mut chaos, mut libtest, mut mimic) = (String::new(), String::new(), String::new());
    let mut trials = String::new();
    for number in 0..count {
        let name = format!("empty_{number:05}");
        writeln!(
            chaos,
            "/// Nothing happens.\n#[chaos(non_destructive)]\nfn {name}() {{}}"
        )?;
        writeln!(libtest, "#[test]\nfn {name}() {{}}")?;
        writeln!(
            mimic,
            "fn {name}() -> Result<(), Failed> {{\n    Ok(())\n}}"
        )?;
        writeln!(trials, "    ({name:?}, {name}),")?;
    }
    // The trials are a static table: the compiler would need minutes for a function that builds
    // 10,000 trials.
    writeln!(
        mimic,
        "static TESTS: &[(&str, fn() -> Result<(), Failed>)] = &[\n{trials}];"
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("chaos.rs"), chaos)?;
    fs::write(out.join("libtest.rs"), libtest)?;
    fs::write(out.join("mimic.rs"), mimic)?;
    Ok(())
}
