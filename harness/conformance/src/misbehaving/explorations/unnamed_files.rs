//! Files that get their first name after their bytes.

use super::durability::{compare, sync};
use clarity_chaos::explore::Crash;
use clarity_chaos::{Context, Result, chaos};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

fn unnamed(dir: &Path) -> Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    Ok(openat(CWD, dir, flags, Mode::from_raw_mode(0o644))?.into())
}

/// Names the file by its path in `/proc`, as programs without privileges do.
fn publish(file: &File, dir: &Path) -> Result {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, source, CWD, dir.join("text"), AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

fn text_is_whole(dir: &Path, crash: Crash) -> Result {
    match fs::read_to_string(dir.join("text")) {
        Ok(text) if text == "new text" => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !crash.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// The bytes must be durable before the name.
#[chaos(non_destructive)]
fn file_is_named_after_its_sync(cx: Context) -> Result {
    compare(
        &cx,
        &[
            "write of 8 bytes at 0 of (a file without a name)",
            "found Ok(",
        ],
        |dir| {
            let mut file = unnamed(dir)?;
            file.write_all(b"new text")?;
            publish(&file, dir)?;
            sync(dir)
        },
        |dir| {
            let mut file = unnamed(dir)?;
            file.write_all(b"new text")?;
            file.sync_all()?;
            publish(&file, dir)?;
            sync(dir)
        },
        text_is_whole,
    )
}

/// `fsync` brings the bytes, but a later name needs a sync of its own.
#[chaos(non_destructive)]
fn name_of_a_synced_file_is_durable(cx: Context) -> Result {
    fn save(dir: &Path, end: fn(&File, &Path) -> Result) -> Result {
        let mut file = unnamed(dir)?;
        file.write_all(b"new text")?;
        file.sync_all()?;
        publish(&file, dir)?;
        end(&file, dir)
    }
    compare(
        &cx,
        &["linkat of (a file without a name) to text", "NotFound"],
        |dir| save(dir, |file, _| Ok(file.sync_data()?)),
        |dir| save(dir, |file, _| Ok(file.sync_all()?)),
        text_is_whole,
    )
}

/// `AT_EMPTY_PATH` names the file of a descriptor. The kernel refuses to name a file again that has
/// lost all names, and to name a file with a name that exists.
#[chaos(non_destructive)]
fn file_is_named_by_its_descriptor(cx: Context) -> Result {
    fn save(dir: &Path, is_synced: bool) -> Result {
        let link =
            |file: &File, name: &str| linkat(file, "", CWD, dir.join(name), AtFlags::EMPTY_PATH);
        let mut lost = File::create(dir.join("lost"))?;
        lost.write_all(b"lost")?;
        fs::remove_file(dir.join("lost"))?;
        assert!(link(&lost, "text").is_err(), "the file has no name");
        let mut file = unnamed(dir)?;
        file.write_all(b"new text")?;
        if is_synced {
            file.sync_all()?;
        }
        // Only root can use AT_EMPTY_PATH before Linux 6.10.
        if link(&file, "text").is_err() {
            publish(&file, dir)?;
        }
        assert!(link(&file, "text").is_err(), "the name exists");
        sync(dir)
    }
    compare(
        &cx,
        &["write of 8 bytes at 0 of (a file without a name)"],
        |dir| save(dir, false),
        |dir| save(dir, true),
        text_is_whole,
    )
}

/// A file that never gets a name changes nothing.
#[chaos(non_destructive)]
fn file_stays_without_a_name(cx: Context) -> Result {
    compare(
        &cx,
        &["rename of draft to text"],
        |dir| {
            unnamed(dir)?.write_all(b"scratch")?;
            fs::write(dir.join("draft"), "new text")?;
            sync(&dir.join("draft"))?;
            Ok(fs::rename(dir.join("draft"), dir.join("text"))?)
        },
        |dir| {
            unnamed(dir)?.write_all(b"scratch")?;
            fs::write(dir.join("draft"), "new text")?;
            sync(&dir.join("draft"))?;
            fs::rename(dir.join("draft"), dir.join("text"))?;
            sync(dir)
        },
        text_is_whole,
    )
}
