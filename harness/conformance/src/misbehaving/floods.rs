//! Tests with a gibibyte of output, or an error text of megabytes.

use clarity_chaos::{Context, Result, chaos};
use rustix::fs::fstat;
use std::io::Write as _;

/// The number of bytes that the test prints before it looks at the disk again.
const STEP: usize = 16 << 20;
const STEPS: usize = 64;
/// The largest size on disk that the output may have between two steps, in bytes.
const BOUND: u64 = 12 << 20;

/// Returns the size on disk of the file that standard output goes to.
fn size_on_disk() -> Result<u64> {
    Ok(u64::try_from(fstat(rustix::stdio::stdout())?.st_blocks)? * 512)
}

/// Prints a gibibyte. After each step, waits until little of the output is on the disk.
#[chaos(timeout = "120s")]
fn prints_a_gibibyte() -> Result {
    let mut stdout = std::io::stdout();
    println!("the first line");
    let text = vec![b'x'; STEP];
    for _ in 0..STEPS {
        stdout.write_all(&text)?;
        stdout.flush()?;
        crate::waiting::until("the output is bounded", || Ok(size_on_disk()? < BOUND))?;
    }
    println!("\nthe last line");
    Err("after a gibibyte".into())
}

/// Prints numbered lines, 64 MiB in total.
#[chaos(timeout = "120s")]
fn prints_numbered_lines() {
    let mut text = String::new();
    for number in 0..1 << 20 {
        use std::fmt::Write as _;
        let _ = writeln!(text, "{number:>63}");
    }
    print!("{text}");
}

/// Fails with an error text of 6 MB, and with notes of the same length.
#[chaos]
fn fails_at_length(cx: Context) -> Result {
    let text = format!("the start {} the end", "é ".repeat(2_000_000));
    cx.note(&text);
    Err(text.into())
}
