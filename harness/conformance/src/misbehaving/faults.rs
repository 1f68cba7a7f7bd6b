//! Faults of files: drawn from the seed, undone, superseded, or left in effect.

use clarity_chaos::fault::{
    BitFlip, Delete, Displace, Extend, Garbage, Permissions, Replace, TornWrite, Truncate,
    UndoOutcome, Zeros,
};
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

/// Injects three faults with drawn parameters.
#[chaos]
fn drawn(cx: Context) -> Result {
    let (a, b) = (file(&cx, "a")?, file(&cx, "b")?);
    cx.note(cx.rng().random::<u64>());
    cx.inject(BitFlip::new(&a))?.until_end();
    cx.inject(Garbage::new(&b).somewhere(8))?.until_end();
    cx.inject(Truncate::new(&a))?.until_end();
    Ok(())
}

/// Each fault damages a file, and undoing the fault restores the file.
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
    let flip = cx.inject(BitFlip::new(&path))?;
    damaged("bit flip")?;
    assert_eq!(fs::metadata(&path)?.modified()?, modified);
    assert_eq!(flip.undo(), UndoOutcome::Restored);

    let garbage = cx.inject(Garbage::new(&path))?;
    damaged("garbage")?;
    assert_eq!(fs::metadata(&path)?.len(), CONTENT.len() as u64);
    assert_eq!(garbage.undo(), UndoOutcome::Restored);

    let cut = cx.inject(Truncate::new(&path).to(3))?;
    assert_eq!(fs::read(&path)?, b"012");
    assert_eq!(cut.undo(), UndoOutcome::Restored);

    let replaced = cx.inject(Replace::new(&path, &other))?;
    assert_eq!(fs::read(&path)?, b"other");
    assert_eq!(replaced.undo(), UndoOutcome::Restored);

    let deleted = cx.inject(Delete::new(&path))?;
    assert!(!path.exists());
    assert_eq!(deleted.undo(), UndoOutcome::Restored);

    // Dropping a guard undoes the guard's fault, also during unwinding.
    cx.expect_panic("with a fault in effect");
    let unwound = std::panic::catch_unwind(|| {
        let _fault = cx.inject(BitFlip::new(&path)).unwrap();
        panic!("with a fault in effect");
    });
    assert!(unwound.is_err());
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

/// Undoing restores a file that was extended, zeroed, torn, displaced or made unreadable.
#[chaos(non_destructive)]
#[cfg(unix)]
fn undone_as_well(cx: Context) -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    let path = file(&cx, "a")?;
    let intact = || -> Result {
        assert_eq!(fs::read(&path)?, CONTENT);
        Ok(())
    };
    let longer = cx.inject(Extend::new(&path).by(5))?;
    let found = fs::read(&path)?;
    assert_eq!(
        (&found[..CONTENT.len()], found.len()),
        (CONTENT, CONTENT.len() + 5)
    );
    assert_eq!(longer.undo(), UndoOutcome::Restored);
    intact()?;

    let zeros = cx.inject(Zeros::new(&path))?;
    assert_eq!(fs::read(&path)?, [0; CONTENT.len()]);
    assert!(cx.inject(Zeros::new(&path)).is_err());
    assert_eq!(zeros.undo(), UndoOutcome::Restored);
    let zeros = cx.inject(Zeros::new(&path).at(1, 2))?;
    assert_eq!(&fs::read(&path)?[..4], b"0\0\x003");
    assert_eq!(zeros.undo(), UndoOutcome::Restored);
    intact()?;

    let (old, new) = (cx.dir().join("old"), cx.dir().join("new"));
    fs::write(&old, [b'o'; 1500])?;
    fs::write(&new, [b'n'; 1300])?;
    assert!(cx.inject(TornWrite::new(&path, &path)).is_err());
    let torn = cx.inject(TornWrite::new(&old, &new))?;
    let written = fs::read(&old)?.iter().filter(|byte| **byte == b'n').count();
    assert!([512, 1024].contains(&written), "{written}");
    assert_eq!(fs::metadata(&old)?.len(), 1500);
    assert_eq!(torn.undo(), UndoOutcome::Restored);
    assert_eq!(fs::read(&old)?, [b'o'; 1500]);

    let folder = cx.inject(Displace::new(&path))?;
    assert!(path.is_dir());
    assert_eq!(folder.undo(), UndoOutcome::Restored);
    let link = cx.inject(Displace::new(&path).by_symlink(&new))?;
    assert_eq!(fs::read_link(&path)?, new);
    assert_eq!(link.undo(), UndoOutcome::Restored);
    intact()?;

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
    let forbidden = cx.inject(Permissions::new(&path))?;
    assert_eq!(
        fs::read(&path).unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    assert_eq!(forbidden.undo(), UndoOutcome::Restored);
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o640);
    let folder = cx.inject(Permissions::new(cx.dir()).read_only())?;
    assert!(fs::write(cx.dir().join("b"), "").is_err());
    assert_eq!(folder.undo(), UndoOutcome::Restored);
    intact()
}

/// The code under test changes a displaced path or a file's mode. Undoing the fault keeps the
/// change.
///
/// Exception: if the code under test only removes the symlink at a displaced path, undoing restores
/// the file.
#[chaos(non_destructive)]
#[cfg(unix)]
fn stand_ins_superseded(cx: Context) -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    let path = file(&cx, "a")?;
    let folder = cx.inject(Displace::new(&path))?;
    fs::write(path.join("inside"), "")?;
    assert!(matches!(folder.undo(), UndoOutcome::Superseded { .. }));
    fs::remove_dir_all(&path)?;
    fs::write(&path, CONTENT)?;
    let link = cx.inject(Displace::new(&path).by_symlink("nowhere"))?;
    fs::remove_file(&path)?;
    assert_eq!(link.undo(), UndoOutcome::Restored);
    let link = cx.inject(Displace::new(&path).by_symlink("nowhere"))?;
    fs::remove_file(&path)?;
    fs::write(&path, "new")?;
    assert!(matches!(link.undo(), UndoOutcome::Superseded { .. }));
    let mode = cx.inject(Permissions::new(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    assert!(matches!(mode.undo(), UndoOutcome::Superseded { .. }));
    Ok(())
}

/// Aborts while a file outside the test's directory is displaced and the file's parent is
/// read-only.
#[chaos]
fn displaced_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let path = PathBuf::from(path);
    let directory = path.parent().ok_or("the file has no parent")?;
    let _displaced = cx.inject(Displace::new(&path).by_symlink("nowhere"))?;
    let _again = cx.inject(Displace::new(&path))?;
    let _mode = cx.inject(Permissions::new(directory).read_only())?;
    std::process::abort();
}

/// The code under test repairs a damaged file. Undoing must not restore the old content.
#[chaos]
fn superseded(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let flip = cx.inject(BitFlip::new(&path))?;
    let cut = cx.inject(Truncate::new(&path).to(0))?;
    fs::write(&path, "repaired")?;
    assert!(matches!(cut.undo(), UndoOutcome::Superseded { .. }));
    assert!(matches!(flip.undo(), UndoOutcome::Superseded { .. }));

    let gone = cx.inject(Delete::new(&path))?;
    fs::write(&path, "repaired again")?;
    assert!(matches!(gone.undo(), UndoOutcome::Superseded { .. }));
    assert_eq!(fs::read(&path)?, b"repaired again");
    Ok(())
}

/// The damaged file's directory is replaced by a file, so undoing fails, and the test fails.
#[chaos]
fn left_behind(cx: Context) -> Result {
    let folder = cx.dir().join("folder");
    fs::create_dir(&folder)?;
    fs::write(folder.join("a"), CONTENT)?;
    cx.inject(BitFlip::new(folder.join("a")))?.until_end();
    fs::remove_dir_all(&folder)?;
    fs::write(&folder, "")?;
    Ok(())
}

/// The directory on another file system is empty at first, and renaming a file into it fails.
#[chaos(non_destructive)]
#[cfg(target_os = "linux")]
fn on_another_file_system(cx: Context) -> Result {
    let other = cx.other_filesystem()?;
    assert_eq!(fs::read_dir(&other)?.count(), 0);
    let path = file(&cx, "a")?;
    let error = fs::rename(&path, other.join("a")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::CrossesDevices);
    fs::copy(&path, other.join("a"))?;
    let flip = cx.inject(BitFlip::new(other.join("a")))?;
    assert_eq!(flip.undo(), UndoOutcome::Restored);
    assert_eq!(fs::read(cx.other_filesystem()?.join("a"))?, CONTENT);
    cx.note(other.display());
    Ok(())
}

/// Tries to inject a bit flip into an empty file. The fault refuses the file.
#[chaos]
fn unfit(cx: Context) -> Result {
    let path = cx.dir().join("empty");
    fs::write(&path, "")?;
    cx.inject(BitFlip::new(&path))?.until_end();
    Ok(())
}

/// The guard of a fault is forgotten, so the fault is undone at the end of the test.
#[chaos]
fn forgotten(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    std::mem::forget(cx.inject(BitFlip::new(&path))?);
    Ok(())
}

/// Faults of one file are undone in the wrong order, the oldest first. The file is still restored.
#[chaos]
fn dropped_in_the_wrong_order(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let guards = vec![
        cx.inject(BitFlip::new(&path).at(5, 0))?.untyped(),
        cx.inject(BitFlip::new(&path).at(5, 1))?.untyped(),
        cx.inject(Garbage::new(&path).at(4, 8))?.untyped(),
        cx.inject(Truncate::new(&path).to(6))?.untyped(),
    ];
    drop(guards);
    assert_eq!(fs::read(&path)?, CONTENT);

    let first = cx.inject(BitFlip::new(&path))?;
    let second = cx.inject(Truncate::new(&path))?;
    assert_eq!(first.undo(), UndoOutcome::Deferred);
    assert_eq!(second.undo(), UndoOutcome::Restored);
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

/// Undoing does not touch a new file at the damaged file's path, even if both files have the same
/// bytes.
#[chaos]
fn replaced_by_the_code_under_test(cx: Context) -> Result {
    let (path, new) = (file(&cx, "a")?, cx.dir().join("new"));
    let flip = cx.inject(BitFlip::new(&path).at(5, 0))?;
    let damaged = fs::read(&path)?;
    fs::write(&new, &damaged)?;
    fs::rename(&new, &path)?;
    assert!(matches!(flip.undo(), UndoOutcome::Superseded { .. }));
    assert_eq!(fs::read(&path)?, damaged);
    Ok(())
}

/// Undoing restores the file's modification time.
#[chaos]
fn undone_with_its_times(cx: Context) -> Result {
    let path = file(&cx, "a")?;
    let long_ago =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options()
        .write(true)
        .open(&path)?
        .set_modified(long_ago)?;
    let cut = cx.inject(Truncate::new(&path))?;
    assert_ne!(fs::metadata(&path)?.modified()?, long_ago);
    assert_eq!(cut.undo(), UndoOutcome::Restored);
    assert_eq!(fs::metadata(&path)?.modified()?, long_ago);
    Ok(())
}

/// A fault is refused if it would change nothing, or if it does not fit the file.
#[chaos]
fn without_effect(cx: Context) -> Result {
    let (path, same) = (file(&cx, "a")?, file(&cx, "same")?);
    assert!(cx.inject(Replace::new(&path, &same)).is_err());
    assert!(
        cx.inject(Truncate::new(&path).to(CONTENT.len() as u64))
            .is_err()
    );
    assert!(cx.inject(BitFlip::new(&path).at(1000, 0)).is_err());
    assert!(cx.inject(Garbage::new(&path).somewhere(1000)).is_err());
    assert!(cx.inject(Delete::new(cx.dir().join("nothing"))).is_err());
    // A drawn byte that equals the old byte changes nothing. The fault must then draw another byte.
    for _ in 0..600 {
        let garbage = cx.inject(Garbage::new(&path).at(0, 1))?;
        assert_ne!(fs::read(&path)?, CONTENT);
        garbage.undo();
    }
    Ok(())
}

/// Sixteen threads inject faults concurrently, each into its own file.
#[chaos]
fn at_the_same_time(cx: Context) -> Result {
    let paths = (0..16).map(|number| file(&cx, &format!("file {number}")));
    let paths: Vec<_> = paths.collect::<Result<_>>()?;
    std::thread::scope(|scope| {
        for path in &paths {
            let cx = cx.clone();
            scope.spawn(move || {
                for _ in 0..8 {
                    let flip = cx.inject(BitFlip::new(path));
                    flip.expect("a bit can be flipped").until_end();
                }
            });
        }
    });
    Ok(())
}

/// Hangs while a fault is in effect on a file outside the test's directory.
#[chaos(timeout = "500ms")]
fn in_effect_at_the_timeout(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::new(PathBuf::from(path)))?;
    loop {
        std::thread::park();
    }
}

/// Aborts while a file outside the test's directory is damaged.
#[chaos]
fn in_effect_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::new(PathBuf::from(path)))?;
    std::process::abort();
}

/// Aborts while a file outside the test's directory is deleted.
#[chaos]
fn gone_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _gone = cx.inject(Delete::new(PathBuf::from(path)))?;
    std::process::abort();
}

/// Aborts while a file outside the test's directory is damaged by two faults.
#[chaos]
fn replaced_and_cut_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let path = PathBuf::from(path);
    let _garbage = cx.inject(Garbage::new(&path))?;
    let _cut = cx.inject(Truncate::new(&path))?;
    std::process::abort();
}

/// Damages a file outside the test's directory, removes the `undo` directory, and aborts.
#[chaos]
fn without_a_way_back_when_killed(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::new(PathBuf::from(path)))?;
    fs::remove_dir_all(cx.dir().with_file_name("undo"))?;
    std::process::abort();
}

/// Damages a file outside the test's directory, and hangs until the runner ends the test.
#[chaos]
fn hangs_with_damage(cx: Context) -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let _flip = cx.inject(BitFlip::new(PathBuf::from(path)))?;
    cx.note("hanging with damage");
    loop {
        std::thread::park();
    }
}
