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

/// A C library has work left for the exit: what it has registered, and what it has not written yet.
#[chaos]
fn leaves_work_for_the_exit() {
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> std::ffi::c_int;
        fn puts(text: *const std::ffi::c_char) -> std::ffi::c_int;
    }
    extern "C" fn handler() {
        println!("a handler was called");
    }
    // SAFETY: the handler lives as long as the program.
    assert_eq!(unsafe { atexit(handler) }, 0);
    // SAFETY: the text ends with a zero.
    assert!(unsafe { puts(c"a line in a buffer".as_ptr()) } >= 0);
}

/// A megabyte is printed, in lines.
#[chaos]
fn prints_a_megabyte() {
    for _ in 0..16 * 1024 {
        println!("{:>63}", "x");
    }
}

/// The test asks to be skipped, and goes on to fail.
#[chaos]
fn fails_after_asking_to_be_skipped(cx: Context) -> Result {
    let _ = cx.skip("as an excuse");
    Err("a real failure")?;
    Ok(())
}

/// Waits for ever, with no limit of its own.
#[chaos]
async fn waits_without_a_limit() {
    std::future::pending::<()>().await;
}

/// Prints what no XML document can hold, and fails with it.
#[chaos]
fn prints_what_xml_cannot_hold() -> Result {
    use std::io::Write as _;
    let text = "\u{0}\u{8}\u{1b}[31m]]>&<\u{fffe}\u{ffff}";
    std::io::stdout().write_all(b"\xff\xfe")?;
    println!("{text}");
    Err(text)?;
    Ok(())
}
