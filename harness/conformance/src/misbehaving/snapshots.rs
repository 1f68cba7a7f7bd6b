//! Tests with snapshots that differ, and tests that write where the sandbox forbids it.

use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::Path;

/// A snapshot in a file differs.
#[chaos(non_destructive)]
fn differs() {
    insta::assert_snapshot!("differs", "new");
}

/// A snapshot in the source differs.
#[chaos(non_destructive)]
fn differs_inline() {
    insta::assert_snapshot!("new", @"old");
}

/// Notes the variable that tells `insta` whether to write.
#[chaos]
fn tells_the_variable(cx: Context) {
    cx.note(format!("INSTA_UPDATE={:?}", std::env::var("INSTA_UPDATE")));
}

/// Writes next to its source.
#[chaos(non_destructive)]
fn writes_to_its_source() -> Result {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("must not be written");
    fs::write(&path, "x").map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// Fails with an error of the same kind, in its own directory.
#[chaos(non_destructive)]
fn is_refused_in_its_own_directory(cx: Context) -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    let path = cx.dir().join("locked");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}
