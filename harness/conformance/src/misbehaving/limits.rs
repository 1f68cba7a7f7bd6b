//! Tests that exceed a limit.

use clarity_chaos::{Context, Result, chaos};
use std::fs::File;
use std::hint::black_box;

/// An allocation beyond the memory limit fails. A smaller allocation then succeeds.
#[chaos(memory = "256MiB")]
fn refused_allocation() -> Result {
    let mut bytes: Vec<u8> = Vec::new();
    let refused = bytes.try_reserve_exact(512 << 20);
    assert!(refused.is_err(), "512 MiB were allocated");
    black_box(vec![1_u8; 16 << 20]);
    Ok(())
}

/// Allocates more memory than the limit allows. The failed allocation aborts the process.
#[chaos(memory = "256MiB")]
fn fatal_allocation() {
    black_box(vec![1_u8; 512 << 20]);
}

/// Opens files until the limit is reached.
#[chaos(open_files = 32)]
fn descriptors(cx: Context) -> Result {
    let mut open = Vec::new();
    // Even if the limit of 32 has no effect, the loop must end.
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

/// Leaks as many descriptors as the limit allows. The harness's leak check then cannot open a
/// descriptor.
#[chaos(non_destructive, open_files = 32)]
fn leaked_descriptors(cx: Context) {
    // Even if the limit of 32 has no effect, the loop must end.
    let files = (0..1000).map_while(|_| File::create(cx.dir().join("file")).ok());
    files.for_each(std::mem::forget);
}

/// Loops until the processor time is used up.
#[chaos(cpu = "1s", timeout = "60s")]
fn cpu() {
    loop {
        black_box(0);
    }
}
