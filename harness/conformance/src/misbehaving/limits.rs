//! Tests that run out of something.

use clarity_chaos::{Context, Result, chaos};
use std::fs::File;
use std::hint::black_box;

/// Allocates more than it may, in a way that can be refused, and then a little, which cannot.
#[chaos(memory = "256MiB")]
fn refused_allocation() -> Result {
    let mut bytes: Vec<u8> = Vec::new();
    let refused = bytes.try_reserve_exact(512 << 20);
    assert!(refused.is_err(), "512 MiB were there");
    black_box(vec![1_u8; 16 << 20]);
    Ok(())
}

/// Allocates more than it may, and insists.
#[chaos(memory = "256MiB")]
fn fatal_allocation() {
    black_box(vec![1_u8; 512 << 20]);
}

/// Opens files until there are no more descriptors.
#[chaos(open_files = 32)]
fn descriptors(cx: Context) -> Result {
    let mut open = Vec::new();
    let error = loop {
        match File::create(cx.dir().join(open.len().to_string())) {
            Ok(file) => open.push(file),
            Err(error) => break error,
        }
    };
    cx.note(open.len());
    const EMFILE: i32 = 24;
    assert_eq!(error.raw_os_error(), Some(EMFILE));
    assert!(open.len() < 32);
    Ok(())
}

/// Leaves all descriptors that it may have open: the audit must find them all the same.
#[chaos(non_destructive, open_files = 32)]
fn leaked_descriptors(cx: Context) {
    while let Ok(file) = File::create(cx.dir().join("file")) {
        std::mem::forget(file);
    }
}

/// Computes without end.
#[chaos(cpu = "1s", timeout = "60s")]
fn cpu() {
    loop {
        black_box(0);
    }
}
