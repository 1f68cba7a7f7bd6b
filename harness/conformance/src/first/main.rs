//! The first chaos test of the harness's README, verbatim. The project's README shows part of it.

use clarity_chaos::fault::{BitFlip, Truncate};
use clarity_chaos::{Context, Result, chaos};
use std::path::Path;
use std::{fs, io};

/// Saves a number with its complement, so that damage shows.
fn save(path: &Path, number: u64) -> io::Result<()> {
    fs::write(
        path,
        [number.to_le_bytes(), (!number).to_le_bytes()].concat(),
    )
}

/// Loads what `save` wrote, or says that it is damaged.
fn load(path: &Path) -> io::Result<u64> {
    let bytes = fs::read(path)?;
    let halves: [[u8; 8]; 2] = match bytes.as_chunks() {
        ([first, second], []) => [*first, *second],
        _ => return Err(io::Error::other("wrong size")),
    };
    let [number, complement] = halves.map(u64::from_le_bytes);
    if number != !complement {
        return Err(io::Error::other("damaged"));
    }
    Ok(number)
}

/// A bit of the saved file rots on the disk. Loading must fail; it must never give another number.
#[chaos(non_destructive)]
fn a_rotten_bit_is_noticed(cx: Context) -> Result {
    let path = cx.dir().join("number"); // a directory of the test's own
    save(&path, 42)?;
    let rot = cx.inject(BitFlip::new(&path))?; // which bit: drawn from the seed
    assert!(load(&path).is_err());
    rot.undo();
    assert_eq!(load(&path)?, 42);
    Ok(())
}

/// The disk was full: the file ends anywhere. Loading must fail.
#[chaos(non_destructive, timeout = "5s")]
async fn a_file_cut_short_is_noticed(cx: Context) -> Result {
    let path = cx.dir().join("number");
    save(&path, 42)?;
    cx.inject(Truncate::new(&path))?.until_end();
    assert!(load(&path).is_err());
    Ok(())
}

clarity_chaos::main!();
