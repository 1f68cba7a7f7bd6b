//! Tests with many faults, only a few of which cause the failure, and a test that fails once.

use clarity_chaos::fault::{BitFlip, Delete, FaultGuard, Truncate};
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::PathBuf;

/// The size of the files, in bytes.
const SIZE: usize = 1000;

/// Creates a file of zeros in the test's directory.
fn file(cx: &Context, name: &str) -> Result<PathBuf> {
    let path = cx.dir().join(name);
    fs::write(&path, [0; SIZE])?;
    Ok(path)
}

/// Returns the byte index and the bit index of the first set bit in the file.
fn damage(path: &PathBuf) -> Result<Option<(usize, u32)>> {
    let bytes = fs::read(path)?;
    let place = bytes.iter().position(|byte| *byte != 0);
    Ok(place.map(|place| (place, bytes[place].trailing_zeros())))
}

/// Fails if the bit flip in `model.onnx` is at `byte >= 118` and `bit >= 3`.
#[chaos]
fn one_of_fourteen(cx: Context) -> Result {
    let model = file(&cx, "model.onnx")?;
    let mut guards: Vec<FaultGuard> = Vec::new();
    for number in 0..14 {
        let path = match number {
            9 => {
                cx.note("the second request");
                model.clone()
            }
            _ => file(&cx, &format!("other-{number}"))?,
        };
        guards.push(cx.inject(BitFlip::new(path))?.untyped());
    }
    let damage = damage(&model)?;
    assert!(!damage.is_some_and(|(byte, bit)| byte >= 118 && bit >= 3));
    Ok(())
}

/// Fails if the first file is truncated and the last file is deleted.
#[chaos]
fn two_together(cx: Context) -> Result {
    let mut guards: Vec<FaultGuard> = Vec::new();
    let first = file(&cx, "first")?;
    guards.push(cx.inject(Truncate::new(&first))?.untyped());
    for number in 0..9 {
        let path = file(&cx, &format!("other-{number}"))?;
        guards.push(cx.inject(BitFlip::new(path))?.untyped());
    }
    let last = file(&cx, "last")?;
    guards.push(cx.inject(Delete::new(&last))?.untyped());
    let is_cut = fs::metadata(&first)?.len() < SIZE as u64;
    if is_cut && !last.exists() {
        return Err("the first file is cut, and the last one is gone".into());
    }
    Ok(())
}

/// Fails with and without its fault.
#[chaos]
fn fails_anyway(cx: Context) -> Result {
    let path = file(&cx, "file")?;
    let _rot = cx.inject(BitFlip::new(path))?;
    Err("it fails anyway".into())
}

/// Fails in the first run with a history directory, and passes in later runs with that directory.
#[chaos]
fn fails_once(cx: Context) -> Result {
    let path = file(&cx, "file")?;
    let _rot = cx.inject(BitFlip::new(path))?;
    let history = std::env::var("CHAOS_HISTORY")?;
    let mark = PathBuf::from(history).join("has-failed");
    assert!(mark.exists() || fs::write(mark, "").is_err());
    Ok(())
}
