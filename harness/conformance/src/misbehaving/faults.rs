//! Faults: drawn from the seed, undone, superseded, left behind.

use clarity_chaos::fault::{BitFlip, Delete, Garbage, Replace, Truncate, Undone};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::PathBuf;

const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn file(cx: &Context, name: &str) -> Result<PathBuf> {
    let path = cx.dir().join(name);
    fs::write(&path, CONTENT)?;
    Ok(path)
}

/// Several faults, all of them drawn.
#[chaos]
fn drawn(cx: Context) -> Result {
    let (a, b) = (file(&cx, "a")?, file(&cx, "b")?);
    cx.note(cx.rng().random::<u64>());
    cx.inject(BitFlip::in_file(&a))?.until_end();
    cx.inject(Garbage::over(&b).somewhere(8))?.until_end();
    cx.inject(Truncate::file(&a))?.until_end();
    Ok(())
}

/// Each fault damages its file, and takes the damage back.
#[chaos]
fn undone(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let other = cx.dir().join("other");
    fs::write(&other, "other")?;
    let modified = fs::metadata(&path)?.modified()?;

    let damaged = |what: &str| -> Result {
        assert_ne!(fs::read(&path).unwrap_or_default(), CONTENT, "{what}");
        Ok(())
    };
    let flip = cx.inject(BitFlip::in_file(&path))?;
    damaged("bit flip")?;
    assert_eq!(fs::metadata(&path)?.modified()?, modified);
    assert_eq!(flip.undo(), Undone::Restored);

    let garbage = cx.inject(Garbage::over(&path))?;
    damaged("garbage")?;
    assert_eq!(fs::metadata(&path)?.len(), CONTENT.len() as u64);
    assert_eq!(garbage.undo(), Undone::Restored);

    let cut = cx.inject(Truncate::file(&path).to(3))?;
    assert_eq!(fs::read(&path)?, b"012");
    assert_eq!(cut.undo(), Undone::Restored);

    let replaced = cx.inject(Replace::content_of(&path, &other))?;
    assert_eq!(fs::read(&path)?, b"other");
    assert_eq!(replaced.undo(), Undone::Restored);

    let deleted = cx.inject(Delete::path(&path))?;
    assert!(!path.exists());
    assert_eq!(deleted.undo(), Undone::Restored);

    // Dropping a guard is enough, also while unwinding.
    cx.expect_panic("with a fault in effect");
    let unwound = std::panic::catch_unwind(|| {
        let _fault = cx.inject(BitFlip::in_file(&path)).unwrap();
        panic!("with a fault in effect");
    });
    assert!(unwound.is_err());
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

/// The code under test repairs its file: undoing must not bring old content back.
#[chaos]
fn superseded(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let flip = cx.inject(BitFlip::in_file(&path))?;
    let cut = cx.inject(Truncate::file(&path).to(0))?;
    fs::write(&path, "repaired")?;
    assert!(matches!(cut.undo(), Undone::Superseded { .. }));
    assert!(matches!(flip.undo(), Undone::Superseded { .. }));

    let gone = cx.inject(Delete::path(&path))?;
    fs::write(&path, "repaired again")?;
    assert!(matches!(gone.undo(), Undone::Superseded { .. }));
    assert_eq!(fs::read(&path)?, b"repaired again");
    Ok(())
}

/// The damaged file's folder turns into a file: undoing fails, and so does the test.
#[chaos]
fn left_behind(cx: Context) -> Result {
    let folder = cx.dir().join("folder");
    fs::create_dir(&folder)?;
    fs::write(folder.join("a"), CONTENT)?;
    cx.inject(BitFlip::in_file(folder.join("a")))?.until_end();
    fs::remove_dir_all(&folder)?;
    fs::write(&folder, "")?;
    Ok(())
}

/// A fault that its target cannot bear.
#[chaos]
fn unfit(cx: Context) -> Result {
    let path = cx.dir().join("empty");
    fs::write(&path, "")?;
    cx.inject(BitFlip::in_file(&path))?.until_end();
    Ok(())
}
