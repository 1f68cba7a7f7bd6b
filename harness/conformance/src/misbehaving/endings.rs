//! Tests that end in different ways.

use clarity_chaos::{Context, Result, chaos};
use std::hint::black_box;
use std::process;

/// Passes.
#[chaos]
fn passes() {}

/// Passes, with a note, log events and output.
#[chaos]
async fn passes_and_tells(cx: Context) -> Result {
    cx.note("a note");
    tracing::warn!(model = "m", version = 2, "a warning");
    tracing::debug!("too fine for the default level");
    println!("printed");
    eprintln!("printed as an error");
    Ok(())
}

/// Returns an error with a source.
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

/// Skips itself.
#[chaos]
fn skips(cx: Context) -> Result {
    cx.skip("not on this machine")?;
    unreachable!("a skipped test goes no further");
}

/// Loops forever without an await point.
#[chaos(timeout = "1s")]
fn spins_forever() {
    loop {
        black_box(0);
    }
}

/// Awaits a future that never completes.
#[chaos(timeout = "1s")]
async fn waits_forever(cx: Context) {
    cx.note("about to wait");
    std::future::pending::<()>().await;
}

/// Aborts the process.
#[chaos]
fn aborts() {
    process::abort();
}

/// Recurses until the stack overflows.
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

/// Calls `exit(0)` before the end of the test.
#[chaos]
fn exits_early() {
    process::exit(0);
}

/// Registers an exit handler, and leaves a line in the C library's output buffer.
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

/// Prints a mebibyte, in lines of 64 bytes.
#[chaos]
fn prints_a_megabyte() {
    for _ in 0..16 * 1024 {
        println!("{:>63}", "x");
    }
}

/// Asks to be skipped, and then fails.
#[chaos]
fn fails_after_asking_to_be_skipped(cx: Context) -> Result {
    let _ = cx.skip("as an excuse");
    Err("a real failure")?;
    Ok(())
}

/// Awaits a future that never completes, and sets no timeout.
#[chaos]
async fn waits_without_a_limit() {
    std::future::pending::<()>().await;
}

/// Prints characters that XML cannot represent, and returns an error with the same characters.
#[chaos]
fn prints_what_xml_cannot_hold() -> Result {
    use std::io::Write as _;
    let text = "\u{0}\u{8}\u{1b}[31m]]>&<\u{fffe}\u{ffff}";
    std::io::stdout().write_all(b"\xff\xfe")?;
    println!("{text}");
    Err(text)?;
    Ok(())
}
