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

/// A guard is forgotten: the fault is undone at the end all the same.
#[chaos]
fn forgotten(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    std::mem::forget(cx.inject(BitFlip::in_file(&path))?);
    Ok(())
}

/// Guards of faults on the same file are dropped the first one first, as a `Vec` does. The file must come back whole.
#[chaos]
fn dropped_in_the_wrong_order(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let guards = vec![
        cx.inject(BitFlip::in_file(&path).at(5, 0))?,
        cx.inject(BitFlip::in_file(&path).at(5, 1))?,
        cx.inject(Garbage::over(&path).at(4, 8))?,
        cx.inject(Truncate::file(&path).to(6))?,
    ];
    drop(guards);
    assert_eq!(fs::read(&path)?, CONTENT);

    let first = cx.inject(BitFlip::in_file(&path))?;
    let second = cx.inject(Truncate::file(&path))?;
    assert_eq!(first.undo(), Undone::Waiting);
    assert_eq!(second.undo(), Undone::Restored);
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

/// The code under test puts a new file in the place of the damaged one, alike where the damage was. Undoing must not touch it.
#[chaos]
fn replaced_by_the_code_under_test(cx: Context) -> Result {
    let (path, new) = (file(&cx, "a")?, cx.dir().join("new"));
    let flip = cx.inject(BitFlip::in_file(&path).at(5, 0))?;
    let damaged = fs::read(&path)?;
    fs::write(&new, &damaged)?;
    fs::rename(&new, &path)?;
    assert!(matches!(flip.undo(), Undone::Superseded { .. }));
    assert_eq!(fs::read(&path)?, damaged);
    Ok(())
}

/// Undoing brings back the time of modification, too.
#[chaos]
fn undone_with_its_times(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let long_ago =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options()
        .write(true)
        .open(&path)?
        .set_modified(long_ago)?;
    let cut = cx.inject(Truncate::file(&path))?;
    assert_ne!(fs::metadata(&path)?.modified()?, long_ago);
    assert_eq!(cut.undo(), Undone::Restored);
    assert_eq!(fs::metadata(&path)?.modified()?, long_ago);
    Ok(())
}

/// Faults that would change nothing are refused.
#[chaos]
fn without_effect(cx: Context) -> Result {
    let (path, same) = (file(&cx, "a")?, file(&cx, "same")?);
    assert!(cx.inject(Replace::content_of(&path, &same)).is_err());
    assert!(
        cx.inject(Truncate::file(&path).to(CONTENT.len() as u64))
            .is_err()
    );
    assert!(cx.inject(BitFlip::in_file(&path).at(1000, 0)).is_err());
    assert!(cx.inject(Garbage::over(&path).somewhere(1000)).is_err());
    assert!(cx.inject(Delete::path(cx.dir().join("nothing"))).is_err());
    // One byte of garbage may come out as it was, and must not stay so.
    for _ in 0..600 {
        let garbage = cx.inject(Garbage::over(&path).at(0, 1))?;
        assert_ne!(fs::read(&path)?, CONTENT);
        garbage.undo();
    }
    Ok(())
}

/// Threads inject at the same time, each into a file of its own.
#[chaos]
fn at_the_same_time(cx: Context) -> Result {
    let paths = (0..16).map(|number| file(&cx, &format!("file {number}")));
    let paths: Vec<_> = paths.collect::<Result<_>>()?;
    std::thread::scope(|scope| {
        for path in &paths {
            let cx = cx.clone();
            scope.spawn(move || {
                for _ in 0..8 {
                    let flip = cx.inject(BitFlip::in_file(path));
                    flip.expect("a bit can be flipped").until_end();
                }
            });
        }
    });
    Ok(())
}

/// The test hangs with a fault in effect outside of its directory.
#[chaos(timeout = "500ms")]
fn in_effect_at_the_timeout(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::in_file(PathBuf::from(path)))?;
    loop {
        std::thread::park();
    }
}

/// A file outside is damaged, and the process is ended before anybody can undo that.
#[chaos]
fn in_effect_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::in_file(PathBuf::from(path)))?;
    std::process::abort();
}

/// A file outside is gone, and the process is ended before anybody can bring it back.
#[chaos]
fn gone_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _gone = cx.inject(Delete::path(PathBuf::from(path)))?;
    std::process::abort();
}

/// A file outside is damaged twice, and the process is ended.
#[chaos]
fn replaced_and_cut_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let path = PathBuf::from(path);
    let _garbage = cx.inject(Garbage::over(&path))?;
    let _cut = cx.inject(Truncate::file(&path))?;
    std::process::abort();
}

/// The same, and the test has removed what would bring it back.
#[chaos]
fn without_a_way_back_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::in_file(PathBuf::from(path)))?;
    fs::remove_dir_all(cx.dir().with_file_name("undo"))?;
    std::process::abort();
}

/// A file outside is damaged, and the test hangs until somebody ends it.
#[chaos]
fn hangs_with_damage(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::in_file(PathBuf::from(path)))?;
    cx.note("hanging with damage");
    loop {
        std::thread::park();
    }
}
