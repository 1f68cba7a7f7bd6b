//! A failure with everything that a report can show.

use clarity_chaos::fault::{BitFlip, Truncate};
use clarity_chaos::{Context, Result, always, chaos, sometimes};
use std::fs;
use std::time::Duration;

/// A service answers until its file is damaged, is taken out of service, is asked again, and comes back; only the client had hoped for more.
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
    let flip = cx.inject(BitFlip::in_file(&path))?;
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
    sometimes!(path.is_dir(), "the file is a folder");
    cx.note("everything is well again");
    cx.inject(Truncate::file(&path).to(0))?.until_end();
    cx.clock().advance(Duration::from_secs(5)).await;
    answer(&good)?;
    Err("the client had hoped for more".into())
}

/// Fails as long as a file outside is empty, and writes to it.
#[chaos]
fn fails_at_first() -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let told = fs::read_to_string(&path)?;
    fs::write(&path, format!("{told}x"))?;
    if told.len() < 2 {
        return Err(format!("it has run {} times before", told.len()).into());
    }
    Ok(())
}

/// Waits for a file outside.
#[chaos]
fn waits_for_a_file() -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    while !fs::exists(&path)? {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
