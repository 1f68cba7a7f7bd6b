//! A failing test with everything that a report can show, and tests that depend on a file.

use clarity_chaos::fault::{BitFlip, Truncate};
use clarity_chaos::{Context, Result, always, chaos, sometimes};
use std::fs;
use std::time::Duration;

/// A service's breaker opens after the model's file is damaged, and closes after the file's repair.
///
/// Then a second fault is injected, and the test fails.
#[chaos(non_destructive, clock = "manual")]
async fn a_breaker_opens_after_a_fault(cx: Context) -> Result {
    let path = cx.dir().join("model");
    fs::write(&path, [7; 100])?;
    println!("the service is up <b>not bold</b> </script>");
    let answer = |expected: &[u8]| -> Result {
        let status = if fs::read(&path)? == expected {
            "200 version 1"
        } else {
            "503 damaged"
        };
        cx.mark("requests", status);
        Ok(())
    };
    let good = [7; 100];
    for _ in 0..4 {
        answer(&good)?;
        cx.clock().advance(Duration::from_secs(2)).await;
    }
    let flip = cx.inject(BitFlip::new(&path))?;
    for _ in 0..3 {
        answer(&good)?;
        cx.clock().advance(Duration::from_secs(1)).await;
    }
    tracing::warn!(
        model = "sleep",
        from = "closed",
        to = "open",
        "circuit breaker changed"
    );
    cx.clock().advance(Duration::from_secs(20)).await;
    flip.undo();
    tracing::info!(
        model = "sleep",
        from = "open",
        to = "half_open",
        "circuit breaker changed"
    );
    cx.clock().advance(Duration::from_secs(3)).await;
    answer(&good)?;
    tracing::info!(
        model = "sleep",
        from = "half_open",
        to = "closed",
        "circuit breaker changed"
    );
    always!(path.exists(), "the file is there");
    sometimes!(path.is_dir(), "the file is a directory");
    cx.note("everything is well again");
    cx.inject(Truncate::new(&path).to(0))?.until_end();
    cx.clock().advance(Duration::from_secs(5)).await;
    answer(&good)?;
    Err("the client had hoped for more".into())
}

/// Fails in the first two attempts. Each attempt appends a byte to the file that `MISBEHAVING_FILE`
/// names.
#[chaos]
fn fails_at_first() -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let content = fs::read_to_string(&path)?;
    fs::write(&path, format!("{content}x"))?;
    if content.len() < 2 {
        return Err(format!("it has run {} times before", content.len()).into());
    }
    Ok(())
}

/// Waits for a file outside the test's directory, for at most 20 seconds.
#[chaos]
fn waits_for_a_file() -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    crate::waiting::until("the file exists", || Ok(fs::exists(&path)?))
}
