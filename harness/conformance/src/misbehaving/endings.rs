//! Ways for a test to end.

use clarity_chaos::{Context, Result, chaos};
use std::hint::black_box;
use std::process;

/// Nothing is wrong.
#[chaos]
fn passes() {}

/// Nothing is wrong, and something was said on the way.
#[chaos]
async fn passes_and_tells(cx: Context) -> Result {
    cx.note("a note");
    tracing::warn!(model = "m", version = 2, "a warning");
    tracing::debug!("too fine to be told");
    println!("printed");
    eprintln!("printed as an error");
    Ok(())
}

/// An error with a source is returned.
#[chaos]
fn fails(cx: Context) -> Result {
    std::fs::read(cx.dir().join("no such file"))?;
    Ok(())
}

/// The body panics.
#[chaos]
fn panics() {
    panic!("on purpose");
}

/// The test finds that it cannot run here.
#[chaos]
fn skips(cx: Context) -> Result {
    cx.skip("not on this machine")?;
    unreachable!("a skipped test goes no further");
}

/// A loop that no signal handler, await or check interrupts.
#[chaos(timeout = "1s")]
fn spins_forever() {
    loop {
        black_box(0);
    }
}

/// An await that never ends.
#[chaos(timeout = "1s")]
async fn waits_forever(cx: Context) {
    cx.note("about to wait");
    std::future::pending::<()>().await;
}

/// The process aborts.
#[chaos]
fn aborts() {
    process::abort();
}

/// A recursion without end.
#[chaos]
fn overflows_its_stack() {
    println!("{}", deeper(1));
}

fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    frame[7] + deeper(depth + 1) + frame[9]
}

/// Something calls `exit(0)` before the test is done.
#[chaos]
fn exits_early() {
    process::exit(0);
}

/// A megabyte is printed, in lines.
#[chaos]
fn prints_a_megabyte() {
    for _ in 0..16 * 1024 {
        println!("{:>63}", "x");
    }
}
