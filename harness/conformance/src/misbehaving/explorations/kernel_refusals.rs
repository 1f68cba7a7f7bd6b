//! Operations that make calls which the kernel refuses. A refused call changes nothing.

use super::{NEW, OLD, old_or_new, rightly};
use clarity_chaos::explore::{ExploreError, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// Calls that fail, each with a name for errors.
type FailingCall = (&'static str, fn(&Path) -> io::Result<()>);

/// Fills the directory: files `current` and `file`, directories `full` and `empty`, symlinks.
fn fill(dir: &Path) -> Result {
    fs::write(dir.join("current"), OLD)?;
    fs::write(dir.join("file"), "file")?;
    fs::hard_link(dir.join("file"), dir.join("same"))?;
    fs::create_dir_all(dir.join("full/sub"))?;
    fs::write(dir.join("full/file"), "inner")?;
    fs::create_dir(dir.join("empty"))?;
    symlink("loop", dir.join("loop"))?;
    symlink("full/sub", dir.join("to_sub"))?;
    symlink("file", dir.join("to_file"))?;
    Ok(())
}

/// Explores the failing calls before a right program and before a wrong one.
fn explore_after(cx: &Context, calls: &[FailingCall]) -> Result {
    fill(cx.dir())?;
    let fail = |dir: &Path| {
        for (name, call) in calls {
            if call(dir).is_ok() {
                return Err(format!("{name} does not fail"));
            }
        }
        Ok(())
    };
    let explore = || cx.explore().power_loss(PowerLoss::Journaled).states(100);
    let right = |dir: &Path| {
        fail(dir)?;
        rightly(dir)
    };
    explore().crash_everywhere(right, old_or_new)?;
    let wrong = |dir: &Path| {
        fail(dir)?;
        Ok(fs::write(dir.join("current"), NEW)?)
    };
    match explore().crash_everywhere(wrong, old_or_new) {
        Err(ExploreError::Broken(broken)) => {
            let text = broken.to_string();
            assert!(text.contains("write of 27 bytes at 0 of current"), "{text}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<()> {
    rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644))?;
    Ok(())
}

fn rename_with(dir: &Path, from: &str, to: &str, flags: RenameFlags) -> io::Result<()> {
    rustix::fs::renameat_with(CWD, dir.join(from), CWD, dir.join(to), flags)?;
    Ok(())
}

const NAMES: [FailingCall; 17] = [
    ("rmdir of a full directory", |dir| {
        fs::remove_dir(dir.join("full"))
    }),
    ("rmdir of a file", |dir| fs::remove_dir(dir.join("file"))),
    ("unlink of a directory", |dir| {
        fs::remove_file(dir.join("empty"))
    }),
    ("unlink of a file as a directory", |dir| {
        rustix::fs::unlinkat(CWD, dir.join("file/"), AtFlags::empty()).map_err(Into::into)
    }),
    ("mkdir over a file", |dir| fs::create_dir(dir.join("file"))),
    ("mkdir without a parent", |dir| {
        fs::create_dir(dir.join("none/sub"))
    }),
    ("mkdir below a file", |dir| {
        fs::create_dir(dir.join("file/sub"))
    }),
    ("symlink over a file", |dir| {
        symlink("current", dir.join("file"))
    }),
    ("link over a file", |dir| {
        fs::hard_link(dir.join("current"), dir.join("file"))
    }),
    ("link of a directory", |dir| {
        fs::hard_link(dir.join("full"), dir.join("link"))
    }),
    ("FIFO over a file", |dir| {
        let mode = Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(CWD, dir.join("file"), FileType::Fifo, mode, 0).map_err(Into::into)
    }),
    ("open of a new file that exists", |dir| {
        File::create_new(dir.join("file")).map(drop)
    }),
    ("truncation of a new file that exists", |dir| {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::WRONLY;
        open_with(&dir.join("file"), flags)
    }),
    ("creation through a loop", |dir| {
        File::create(dir.join("loop")).map(drop)
    }),
    ("truncation of a symlink", |dir| {
        open_with(
            &dir.join("to_file"),
            OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::WRONLY,
        )
    }),
    ("creation as a directory", |dir| {
        open_with(&dir.join("new/"), OFlags::CREATE | OFlags::WRONLY)
    }),
    ("creation with a long name", |dir| {
        File::create(dir.join("n".repeat(256))).map(drop)
    }),
];

/// Calls that would change names.
#[chaos(non_destructive)]
fn names_stay(cx: Context) -> Result {
    explore_after(&cx, &NAMES)
}

const RENAMES: [FailingCall; 8] = [
    ("rename onto a name that is kept", |dir| {
        rename_with(dir, "file", "current", RenameFlags::NOREPLACE)
    }),
    ("exchange with nothing", |dir| {
        rename_with(dir, "file", "none", RenameFlags::EXCHANGE)
    }),
    ("rename of a directory over a file", |dir| {
        fs::rename(dir.join("empty"), dir.join("file"))
    }),
    ("rename of a file over a directory", |dir| {
        fs::rename(dir.join("file"), dir.join("empty"))
    }),
    ("rename over a full directory", |dir| {
        fs::rename(dir.join("empty"), dir.join("full"))
    }),
    ("rename into itself", |dir| {
        fs::rename(dir.join("full"), dir.join("full/sub/full"))
    }),
    ("rename without a source", |dir| {
        fs::rename(dir.join("none"), dir.join("new"))
    }),
    ("exchange with an own directory", |dir| {
        rename_with(dir, "full", "full/sub", RenameFlags::EXCHANGE)
    }),
];

/// Renames that the kernel refuses.
#[chaos(non_destructive)]
fn renames_stay(cx: Context) -> Result {
    explore_after(&cx, &RENAMES)
}

const BYTES: [FailingCall; 7] = [
    ("write to a descriptor for reading", |dir| {
        File::open(dir.join("file"))?.write_all_at(b"bytes", 0)
    }),
    ("set_len of a descriptor for reading", |dir| {
        File::open(dir.join("file"))?.set_len(1)
    }),
    ("truncation of a directory", |dir| {
        nix::unistd::truncate(&dir.join("full"), 0).map_err(Into::into)
    }),
    ("truncation below a file", |dir| {
        nix::unistd::truncate(&dir.join("file/none"), 0).map_err(Into::into)
    }),
    ("truncation to a negative length", |dir| {
        nix::unistd::truncate(&dir.join("file"), -1).map_err(Into::into)
    }),
    ("write behind a limit", |dir| {
        let limit = Rlimit {
            current: Some(100),
            maximum: None,
        };
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        let mut file = File::options().append(true).open(dir.join("file"))?;
        setrlimit(Resource::Fsize, limit)?;
        let written = file.write(&[b'x'; 150]);
        setrlimit(Resource::Fsize, unlimited)?;
        match written? {
            150 => Ok(()),
            written => Err(io::Error::other(format!("only {written} bytes"))),
        }
    }),
    ("chmod of nothing", |dir| {
        fs::set_permissions(dir.join("none"), Permissions::from_mode(0o600))
    }),
];

/// Calls that would change bytes, lengths and modes.
#[chaos(non_destructive)]
fn bytes_stay(cx: Context) -> Result {
    explore_after(&cx, &BYTES)
}

/// Paths that the kernel resolves in its own way. The calls succeed, and then there is an error.
const PATHS: [FailingCall; 4] = [
    ("`..` behind a symlink", |dir| {
        fs::write(dir.join("to_sub/../made"), "made")?;
        fs::remove_file(dir.join("full/made"))?;
        Err(io::Error::other("done"))
    }),
    ("creation through a symlink to nothing", |dir| {
        symlink("full/target", dir.join("to_target"))?;
        fs::write(dir.join("to_target"), "target")?;
        fs::rename(dir.join("full/target"), dir.join("made"))?;
        Err(io::Error::other("done"))
    }),
    ("mode through a symlink", |dir| {
        fs::set_permissions(dir.join("to_file"), Permissions::from_mode(0o600))?;
        fs::remove_dir(dir.join("to_sub/"))?;
        Err(io::Error::other("done"))
    }),
    ("rename with slashes", |dir| {
        fs::rename(dir.join("empty/"), dir.join("made/"))?;
        Err(io::Error::other("done"))
    }),
];

/// Paths through symlinks, and with `..` and slashes.
#[chaos(non_destructive)]
fn paths_are_resolved_as_by_the_kernel(cx: Context) -> Result {
    explore_after(&cx, &PATHS)
}

/// Modes that the kernel sets on its own.
const MODES: [FailingCall; 2] = [
    ("set-group-ID of a directory", |dir| {
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o2775))?;
        DirBuilder::new().mode(0o700).create(dir.join("full/new"))?;
        File::create(dir.join("full/new/file"))?;
        Err(io::Error::other("done"))
    }),
    ("set-user-ID after chown", |dir| {
        fs::set_permissions(dir.join("file"), Permissions::from_mode(0o4755))?;
        let owner = rustix::process::getuid().as_raw();
        std::os::unix::fs::chown(dir.join("file"), Some(owner), None)?;
        fs::write(dir.join("file"), "other")?;
        Err(io::Error::other("done"))
    }),
];

/// Modes that depend on the directory, and modes that a call clears.
#[chaos(non_destructive)]
fn modes_are_those_of_the_kernel(cx: Context) -> Result {
    explore_after(&cx, &MODES)
}

const PERMISSIONS: [FailingCall; 5] = [
    ("creation in a closed directory", |dir| {
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o500))?;
        let created = File::create(dir.join("full/new")).map(drop);
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o755))?;
        created
    }),
    ("removal from a closed directory", |dir| {
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o500))?;
        let removed = fs::remove_file(dir.join("full/file"));
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o755))?;
        removed
    }),
    ("rename into a closed directory", |dir| {
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o500))?;
        let renamed = fs::rename(dir.join("file"), dir.join("full/file"));
        fs::set_permissions(dir.join("full"), Permissions::from_mode(0o755))?;
        renamed
    }),
    ("truncation of a closed file", |dir| {
        fs::set_permissions(dir.join("file"), Permissions::from_mode(0o400))?;
        File::create(dir.join("file")).map(drop)
    }),
    ("set-group-ID of a write", |dir| {
        fs::set_permissions(dir.join("file"), Permissions::from_mode(0o6755))?;
        fs::write(dir.join("file"), "other")?;
        Err(io::Error::other("done"))
    }),
];

/// Root may make most of these calls.
#[chaos(non_destructive)]
fn permissions_are_those_of_the_user(cx: Context) -> Result {
    if rustix::process::getuid().is_root() {
        return Ok(());
    }
    explore_after(&cx, &PERMISSIONS)
}
