//! Tests that exceed a limit.

use clarity_chaos::{Context, Result, chaos};
use std::fs::File;
use std::hint::black_box;

/// Tries to allocate beyond the limit, and then allocates below it.
#[chaos(memory = "256MiB")]
fn refused_allocation() -> Result {
    let mut bytes: Vec<u8> = Vec::new();
    let refused = bytes.try_reserve_exact(512 << 20);
    assert!(refused.is_err(), "512 MiB were allocated");
    black_box(vec![1_u8; 16 << 20]);
    Ok(())
}

/// Allocates beyond the limit, and aborts when that fails.
#[chaos(memory = "256MiB")]
fn fatal_allocation() {
    black_box(vec![1_u8; 512 << 20]);
}

/// Opens files until the limit is reached.
#[chaos(open_files = 32)]
fn descriptors(cx: Context) -> Result {
    let mut open = Vec::new();
    // Without the limit of 32 the loop must end too.
    let error =
        (0..1000).find_map(
            |number: u32| match File::create(cx.dir().join(number.to_string())) {
                Ok(file) => {
                    open.push(file);
                    None
                }
                Err(error) => Some(error),
            },
        );
    let error = error.ok_or("1000 files could be opened")?;
    cx.note(open.len());
    const EMFILE: i32 = 24;
    assert_eq!(error.raw_os_error(), Some(EMFILE));
    assert!(open.len() < 32);
    Ok(())
}

/// Leaks descriptors up to the limit, so that the audit has none.
#[chaos(non_destructive, open_files = 32)]
fn leaked_descriptors(cx: Context) {
    // Without the limit of 32 the loop must end too.
    let files = (0..1000).map_while(|_| File::create(cx.dir().join("file")).ok());
    files.for_each(std::mem::forget);
}

/// Computes for ever.
#[chaos(cpu = "1s", timeout = "60s")]
fn cpu() {
    loop {
        black_box(0);
    }
}
