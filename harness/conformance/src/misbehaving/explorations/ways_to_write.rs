//! Calls that write, beside `write` and `pwrite`.

use super::durability::compare;
use clarity_chaos::explore::Crash;
use clarity_chaos::{Context, Result, chaos};
use rustix::io::{ReadWriteFlags, pwritev2};
use rustix::pipe::{SpliceFlags, splice};
use std::fs::{self, File};
use std::io::{IoSlice, Write as _};
use std::path::Path;

fn whole_or_acknowledged(dir: &Path, crash: Crash) -> Result {
    match fs::read_to_string(dir.join("log"))?.as_str() {
        "first second" => Ok(()),
        text if !crash.acknowledged() && !text.ends_with("second") => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

fn open(dir: &Path) -> Result<File> {
    Ok(File::options()
        .read(true)
        .write(true)
        .open(dir.join("log"))?)
}

/// A pipe's bytes go into a file.
#[chaos(non_destructive)]
fn splice_into_a_file(cx: Context) -> Result {
    fn save(dir: &Path, end: fn(&File) -> Result) -> Result {
        let (from, mut to) = std::io::pipe()?;
        to.write_all(b"second")?;
        let file = open(dir)?;
        let mut offset = 6;
        splice(
            &from,
            None,
            &file,
            Some(&mut offset),
            6,
            SpliceFlags::empty(),
        )?;
        end(&file)
    }
    fs::write(cx.dir().join("log"), "first ")?;
    compare(
        &cx,
        &["splice of 6 bytes at 6 of log"],
        |dir| save(dir, |_| Ok(())),
        |dir| save(dir, |file| Ok(file.sync_all()?)),
        whole_or_acknowledged,
    )
}

/// The flags of `pwritev2` make a write append, and make it durable.
#[chaos(non_destructive)]
fn pwritev2_with_flags(cx: Context) -> Result {
    fn save(dir: &Path, flags: ReadWriteFlags) -> Result {
        let bytes = [IoSlice::new(b"sec"), IoSlice::new(b"ond")];
        pwritev2(open(dir)?, &bytes, 0, flags | ReadWriteFlags::APPEND)?;
        Ok(())
    }
    fs::write(cx.dir().join("log"), "first ")?;
    compare(
        &cx,
        &["pwritev2 of 6 bytes at the end of log"],
        |dir| save(dir, ReadWriteFlags::HIPRI),
        |dir| save(dir, ReadWriteFlags::DSYNC),
        whole_or_acknowledged,
    )
}
