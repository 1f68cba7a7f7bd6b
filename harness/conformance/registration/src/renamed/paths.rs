//! Tests of the option `crate`, the path to the harness.

use clarity_chaos_registration::prelude::chaos;
use harness::{Context, Result};
use std::time::Duration;

/// The `crate` path is the name of a dependency.
#[harness::chaos(crate = harness)]
fn of_a_dependency(cx: Context) -> Result {
    std::fs::write(cx.dir().join("file"), "text")?;
    Ok(())
}

/// The `crate` path is in quotes. A tag, the timeout, the clock and three limits are also set.
#[harness::chaos(
    crate = "::harness",
    quick,
    timeout = "20s",
    clock = "paused",
    memory = "1GiB",
    open_files = 256,
    cpu = "1m"
)]
async fn in_quotes(_cx: Context) -> Result {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Ok(())
}

/// The `crate` path goes through a library's re-export.
#[chaos::chaos(crate = clarity_chaos_registration::prelude::chaos)]
fn of_a_re_export() -> Result {
    chaos::always!(true, "a macro of the re-exported harness compiles");
    Ok(())
}

mod private {
    pub(super) use harness as nested;
}

/// The `crate` path begins with a module of this file.
#[harness::chaos(crate = private::nested)]
fn of_a_module() {}

clarity_chaos_registration::passing_test!(of_a_macro, "The path begins with `$crate`.");
