//! Pairs of programs that differ only in a sync or in the order of two calls. Under each model of
//! power loss, the exploration must find the wrong program broken, and must pass the right one.

use clarity_chaos::explore::{Crash, ExploreError, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const MODELS: [PowerLoss; 2] = [PowerLoss::Journaled, PowerLoss::Ext4Ordered];

const SECTOR: usize = 512;

/// Explores both programs under each model. The wrong one must break the invariant, and the error
/// must contain all `words`.
pub(super) fn compare(
    cx: &Context,
    words: &[&str],
    wrong: fn(&Path) -> Result,
    right: fn(&Path) -> Result,
    invariant: fn(&Path, Crash) -> Result,
) -> Result {
    for model in MODELS {
        let explore = || cx.explore().power_loss(model);
        explore().crash_everywhere(right, invariant)?;
        match explore().crash_everywhere(wrong, invariant) {
            Err(ExploreError::Broken(broken)) => {
                let text = broken.to_string();
                for word in words {
                    assert!(text.contains(word), "{model:?}: no {word:?} in: {text}");
                }
            }
            other => panic!("{model:?}: the wrong program is not broken: {other:?}"),
        }
    }
    Ok(())
}

pub(super) fn sync(path: &Path) -> Result {
    File::open(path)?.sync_all()?;
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().write(true).open(path)?)
}

/// The rename can reach the disk before the bytes of the draft.
#[chaos(non_destructive)]
fn draft_without_sync(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), "old text")?;
    compare(
        &cx,
        &["write of 8 bytes"],
        |dir| {
            fs::write(dir.join("draft"), "new text")?;
            fs::rename(dir.join("draft"), dir.join("current"))?;
            sync(dir)
        },
        |dir| {
            fs::write(dir.join("draft"), "new text")?;
            sync(&dir.join("draft"))?;
            fs::rename(dir.join("draft"), dir.join("current"))?;
            sync(dir)
        },
        |dir, _| match fs::read_to_string(dir.join("current"))?.as_str() {
            "old text" | "new text" => Ok(()),
            found => Err(format!("found {found:?}").into()),
        },
    )
}

/// The length of a new file can reach the disk before the bytes, which are zeros then.
#[chaos(non_destructive)]
fn text_appended_to_a_new_file(cx: Context) -> Result {
    fn append(dir: &Path, name: &str) -> Result {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(dir.join(name))?;
        file.write_all(b"entry")?;
        file.sync_all()?;
        Ok(())
    }
    compare(
        &cx,
        &["write of 5 bytes", "found \"\\0\\0"],
        |dir| append(dir, "log"),
        |dir| {
            append(dir, "draft")?;
            fs::rename(dir.join("draft"), dir.join("log"))?;
            sync(dir)
        },
        |dir, _| match fs::read_to_string(dir.join("log")) {
            Ok(text) if !"entry".starts_with(&text) => Err(format!("found {text:?}").into()),
            _ => Ok(()),
        },
    )
}

/// A sync of another file does not make a new name durable.
#[chaos(non_destructive)]
fn name_after_fdatasync_of_another_file(cx: Context) -> Result {
    fn save(dir: &Path) -> Result {
        File::create(dir.join("new"))?;
        let other = open(&dir.join("other"))?;
        other.write_all_at(b"N", 0)?;
        other.sync_data()?;
        Ok(())
    }
    fs::write(cx.dir().join("other"), "other")?;
    compare(
        &cx,
        &["new"],
        save,
        |dir| {
            save(dir)?;
            sync(dir)
        },
        acknowledged_name,
    )
}

/// `fdatasync` of a renamed file does not make the new name durable.
#[chaos(non_destructive)]
fn name_after_rename_and_fdatasync(cx: Context) -> Result {
    fn save(dir: &Path) -> Result {
        fs::rename(dir.join("old"), dir.join("new"))?;
        let file = open(&dir.join("new"))?;
        file.write_all_at(b"N", 0)?;
        file.sync_data()?;
        Ok(())
    }
    fs::write(cx.dir().join("old"), "text")?;
    compare(
        &cx,
        &["rename of old to new"],
        save,
        |dir| {
            save(dir)?;
            sync(&dir.join("new"))
        },
        acknowledged_name,
    )
}

/// `fdatasync` of a linked file does not make the second name durable.
#[chaos(non_destructive)]
fn name_after_link_and_fdatasync(cx: Context) -> Result {
    fn save(dir: &Path) -> Result {
        fs::hard_link(dir.join("old"), dir.join("new"))?;
        File::open(dir.join("old"))?.sync_data()?;
        Ok(())
    }
    fs::write(cx.dir().join("old"), "text")?;
    compare(
        &cx,
        &["of old to new"],
        save,
        |dir| {
            save(dir)?;
            sync(&dir.join("old"))
        },
        acknowledged_name,
    )
}

/// Requires the file `new` if the operation returned success.
fn acknowledged_name(dir: &Path, crash: Crash) -> Result {
    match crash.acknowledged() && !dir.join("new").exists() {
        true => Err("the acknowledged name is missing".into()),
        false => Ok(()),
    }
}

/// The size of a page of the store: eight sectors, the last byte is the commit mark.
const PAGE: usize = 8 * SECTOR;

fn page() -> Vec<u8> {
    let mut page = vec![b'n'; PAGE];
    page[PAGE - 1] = b'C';
    page
}

/// Requires a whole page if the page has its commit mark.
fn committed_page_is_whole(dir: &Path, _: Crash) -> Result {
    let found = fs::read(dir.join("store"))?;
    match found.last() == Some(&b'C') && found != page() {
        true => Err("the page has its commit mark, but not all of its bytes".into()),
        false => Ok(()),
    }
}

/// The last sector of one write, with the commit mark, can reach the disk before the others.
#[chaos(non_destructive)]
fn page_with_commit_mark_in_one_write(cx: Context) -> Result {
    fs::write(cx.dir().join("store"), vec![b'o'; PAGE])?;
    compare(
        &cx,
        &["4096 bytes at 0 of store", "its commit mark"],
        |dir| {
            let store = open(&dir.join("store"))?;
            store.write_all_at(&page(), 0)?;
            store.sync_all()?;
            Ok(())
        },
        mark_after_sync,
        committed_page_is_whole,
    )
}

/// The same with `writev`, of which each vector is a sector.
#[chaos(non_destructive)]
fn page_with_commit_mark_in_writev(cx: Context) -> Result {
    fs::write(cx.dir().join("store"), vec![b'o'; PAGE])?;
    compare(
        &cx,
        &["writev of 4096 bytes", "its commit mark"],
        |dir| {
            let mut store = open(&dir.join("store"))?;
            let page = page();
            let sectors: Vec<IoSlice<'_>> = page.chunks(SECTOR).map(IoSlice::new).collect();
            assert_eq!(store.write_vectored(&sectors)?, PAGE);
            store.sync_all()?;
            Ok(())
        },
        mark_after_sync,
        committed_page_is_whole,
    )
}

/// Syncs the page before the write of the commit mark.
fn mark_after_sync(dir: &Path) -> Result {
    let store = open(&dir.join("store"))?;
    let page = page();
    store.write_all_at(&page[..PAGE - 1], 0)?;
    store.sync_all()?;
    store.write_all_at(&page[PAGE - 1..], PAGE as u64 - 1)?;
    store.sync_all()?;
    Ok(())
}

/// A record of 300 bytes crosses the border of a sector, so half of it can be on the disk.
#[chaos(non_destructive)]
fn record_across_the_border_of_a_sector(cx: Context) -> Result {
    fn save(dir: &Path, offset: u64) -> Result {
        let store = open(&dir.join("store"))?;
        store.write_all_at(&[b'n'; 300], offset)?;
        store.sync_all()?;
        Ok(())
    }
    fs::write(cx.dir().join("store"), vec![b'o'; 2 * SECTOR])?;
    compare(
        &cx,
        &["300 bytes at 400 of store"],
        |dir| save(dir, 400),
        |dir| save(dir, 100),
        |dir, _| {
            let store = fs::read(dir.join("store"))?;
            match store.iter().filter(|byte| **byte == b'n').count() {
                0 | 300 => Ok(()),
                torn => Err(format!("{torn} bytes of the record").into()),
            }
        },
    )
}

/// A file that was made longer can have its new length without the bytes written afterwards.
#[chaos(non_destructive)]
fn length_set_before_the_bytes(cx: Context) -> Result {
    fn grow(dir: &Path) -> Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("store"))?;
        file.set_len(8192)?;
        file.write_all_at(b"header", 0)?;
        Ok(file)
    }
    compare(
        &cx,
        &["no header"],
        |dir| {
            grow(dir)?;
            sync(dir)
        },
        |dir| {
            let file = grow(dir)?;
            file.sync_all()?;
            File::create(dir.join("ready"))?;
            sync(dir)
        },
        |dir, crash| {
            let is_ready = crash.acknowledged() || dir.join("ready").exists();
            match is_ready && !fs::read(dir.join("store"))?.starts_with(b"header") {
                true => Err("no header".into()),
                false => Ok(()),
            }
        },
    )
}

/// A process that dies inside a write leaves the first page, which has the commit mark.
#[chaos(non_destructive)]
fn mark_at_the_start_of_a_long_write(cx: Context) -> Result {
    const LONG: usize = 3 * 4096;
    fs::write(cx.dir().join("store"), vec![b'o'; LONG])?;
    let invariant = |dir: &Path, _: Crash| {
        let found = fs::read(dir.join("store"))?;
        match found[0] == b'C' && found[1..].contains(&b'o') {
            true => Err("the store has its commit mark, but not all of its bytes".into()),
            false => Ok(()),
        }
    };
    let body = |dir: &Path| -> Result<File> {
        let store = open(&dir.join("store"))?;
        store.write_all_at(&[b'n'; LONG - 1], 1)?;
        Ok(store)
    };
    cx.crash_everywhere(|dir| Ok(body(dir)?.write_all_at(b"C", 0)?), invariant)?;
    let wrong = |dir: &Path| {
        let mut bytes = vec![b'n'; LONG];
        bytes[0] = b'C';
        Ok(open(&dir.join("store"))?.write_all_at(&bytes, 0)?)
    };
    match cx.crash_everywhere(wrong, invariant) {
        Err(ExploreError::Broken(broken)) => {
            let text = broken.to_string();
            let place = "died inside call 1 of 1, pwrite64 of 12288 bytes at 0 of store";
            assert!(text.contains(place), "{text}");
            assert!(text.contains("with 4096 bytes written"), "{text}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

/// A logger rotates its file: modes, hard links and times are kept in every state.
#[chaos(non_destructive)]
fn modes_links_and_times_are_kept(cx: Context) -> Result {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    fs::write(cx.dir().join("log"), "old")?;
    open(&cx.dir().join("log"))?.set_modified(old)?;
    fs::hard_link(cx.dir().join("log"), cx.dir().join("log.1"))?;
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(
            |dir| {
                let modified = fs::metadata(dir.join("log"))?.modified()?;
                assert_eq!(modified, old, "the copy has the times of the files");
                let mut options = OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(dir.join("draft"))?;
                file.write_all(b"new")?;
                file.sync_all()?;
                fs::rename(dir.join("draft"), dir.join("log"))?;
                sync(dir)
            },
            |dir, _| {
                let log = fs::metadata(dir.join("log"))?;
                let expected = match fs::read_to_string(dir.join("log"))?.as_str() {
                    "old" => (0o644, 2),
                    _ => (0o600, 1),
                };
                assert_eq!((log.mode() & 0o777, log.nlink()), expected);
                // The file that was not written keeps its times.
                assert_eq!(fs::metadata(dir.join("log.1"))?.modified()?, old);
                Ok(())
            },
        )?;
    Ok(())
}

/// A file that its owner may not read is copied too.
#[chaos(non_destructive)]
fn file_without_permissions_is_kept(cx: Context) -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    let sealed = cx.dir().join("sealed");
    fs::write(&sealed, "secret")?;
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o000))?;
    cx.crash_everywhere(
        |dir| Ok(fs::write(dir.join("file"), "")?),
        |dir, _| {
            let mode = fs::metadata(dir.join("sealed"))?.permissions().mode();
            assert_eq!(mode & 0o777, 0);
            Ok(())
        },
    )?;
    Ok(())
}
