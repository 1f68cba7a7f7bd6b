//! Files that keep or lose names while they are open.

use super::durability::{compare, sync};
use clarity_chaos::explore::Crash;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

fn open(path: &Path) -> Result<File> {
    Ok(File::options().read(true).write(true).open(path)?)
}

/// Requires the text "new" in `other` once the operation has returned success.
fn acknowledged_text(dir: &Path, crash: Crash) -> Result {
    match fs::read_to_string(dir.join("other"))?.as_str() {
        "new" => Ok(()),
        "old" if !crash.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// Two names of one file.
fn two_names(dir: &Path) -> Result {
    fs::write(dir.join("name"), "old")?;
    fs::hard_link(dir.join("name"), dir.join("other"))?;
    Ok(())
}

fn write_after(dir: &Path, lose_name: fn(&Path) -> Result, end: fn(&File) -> Result) -> Result {
    let file = open(&dir.join("name"))?;
    lose_name(dir)?;
    file.write_all_at(b"new", 0)?;
    end(&file)
}

fn unlink(dir: &Path) -> Result {
    Ok(fs::remove_file(dir.join("name"))?)
}

fn replace(dir: &Path) -> Result {
    fs::write(dir.join("draft"), "draft")?;
    sync(&dir.join("draft"))?;
    Ok(fs::rename(dir.join("draft"), dir.join("name"))?)
}

/// The name with which the file was opened is removed. Its other name shows the bytes.
#[chaos(non_destructive)]
fn opened_name_is_removed(cx: Context) -> Result {
    two_names(cx.dir())?;
    compare(
        &cx,
        &["pwrite64 of 3 bytes at 0 of name"],
        |dir| write_after(dir, unlink, |_| Ok(())),
        |dir| write_after(dir, unlink, |file| Ok(file.sync_all()?)),
        acknowledged_text,
    )
}

/// Another file gets the name with which the file was opened.
#[chaos(non_destructive)]
fn opened_name_is_replaced(cx: Context) -> Result {
    two_names(cx.dir())?;
    compare(
        &cx,
        &["pwrite64 of 3 bytes at 0 of name"],
        |dir| write_after(dir, replace, |_| Ok(())),
        |dir| write_after(dir, replace, |file| Ok(file.sync_data()?)),
        acknowledged_text,
    )
}

/// A file has only one name, which is removed. Its writes do not show in a new file of that name,
/// which can also get the number of a removed file.
#[chaos(non_destructive)]
fn removed_file_is_written(cx: Context) -> Result {
    fn run(dir: &Path, is_synced: bool) -> Result {
        for round in 0..3 {
            let mut removed = File::create(dir.join("other"))?;
            removed.write_all(b"scratch")?;
            fs::remove_file(dir.join("other"))?;
            removed.write_all(b"more scratch")?;
            removed.set_len(round)?;
            removed.sync_all()?;
            if round == 1 {
                let mut other = File::create(dir.join("draft"))?;
                other.write_all(b"scratch")?;
                fs::remove_file(dir.join("draft"))?;
                drop(other);
            }
            removed.write_all(b"the rest")?;
        }
        let mut file = File::create(dir.join("draft"))?;
        file.write_all(b"new")?;
        if is_synced {
            file.sync_all()?;
        }
        fs::rename(dir.join("draft"), dir.join("other"))?;
        sync(dir)
    }
    compare(
        &cx,
        &["write of 3 bytes at 0 of draft"],
        |dir| run(dir, false),
        |dir| run(dir, true),
        |dir, crash| match fs::read(dir.join("other")) {
            Ok(text) if text == b"new" => Ok(()),
            // The scratch file is there before its removal is durable.
            Ok(text) if !crash.acknowledged() && text != [0; 3] => Ok(()),
            Err(_) if !crash.acknowledged() => Ok(()),
            found => Err(format!("found {found:?}").into()),
        },
    )
}

/// A directory is renamed while a descriptor of a file in it is open.
#[chaos(non_destructive)]
fn directory_of_an_open_file_is_renamed(cx: Context) -> Result {
    fn run(dir: &Path, end: fn(&File) -> Result) -> Result {
        let file = open(&dir.join("sub/file"))?;
        fs::rename(dir.join("sub"), dir.join("moved"))?;
        sync(dir)?;
        file.write_all_at(b"new", 0)?;
        end(&file)
    }
    fs::create_dir(cx.dir().join("sub"))?;
    fs::write(cx.dir().join("sub/file"), "old")?;
    compare(
        &cx,
        &["pwrite64 of 3 bytes at 0 of moved/file"],
        |dir| run(dir, |_| Ok(())),
        |dir| run(dir, |file| Ok(file.sync_all()?)),
        |dir, crash| {
            let moved = fs::read(dir.join("moved/file"));
            match moved
                .or_else(|_| fs::read(dir.join("sub/file")))?
                .as_slice()
            {
                b"new" => Ok(()),
                b"old" if !crash.acknowledged() => Ok(()),
                found => Err(format!("found {found:?}").into()),
            }
        },
    )
}
