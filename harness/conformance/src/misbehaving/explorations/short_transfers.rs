//! Pairs of programs that read and write files. The wrong one takes each call as whole.

use super::{NEW, OLD};
use clarity_chaos::explore::{CallFailure, Errno, ExploreError, ExploredState, InjectedFailure};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;

/// Lets each call be short. The right program must pass. The wrong one must be broken at `call`,
/// which transferred `bytes`.
fn compare(
    cx: &Context,
    (call, bytes): (&str, &str),
    wrong: fn(&Path) -> Result,
    right: fn(&Path) -> Result,
    invariant: fn(&Path, InjectedFailure) -> Result,
) -> Result {
    let explored = cx.fail_everywhere([], right, invariant)?;
    assert!(explored.points > 0, "{explored:?}");
    match cx.fail_everywhere([], wrong, invariant) {
        Err(ExploreError::Broken(broken)) => {
            let text = broken.to_string();
            for expected in [call, &format!("transferred only {bytes} bytes")] {
                assert!(text.contains(expected), "no {expected:?} in: {text}");
            }
            assert!(text.contains("short_transfers.rs:"), "{text}");
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}

/// Requires `expected` in the file.
fn require(dir: &Path, failure: InjectedFailure, expected: &str) -> Result {
    assert!(failure.acknowledged() && failure.errno().is_none());
    assert!(matches!(failure.failure(), CallFailure::Short { .. }));
    let found = fs::read_to_string(dir.join("file"))?;
    match found == expected {
        true => Ok(()),
        false => Err(format!("found {found:?}").into()),
    }
}

/// Ignores the number of written bytes.
#[chaos(non_destructive)]
fn count_of_a_write_is_ignored(cx: Context) -> Result {
    compare(
        &cx,
        ("write of 27 bytes at 0 of file", "13 of 27"),
        |dir| {
            let _ = File::create(dir.join("file"))?.write(NEW.as_bytes())?;
            Ok(())
        },
        |dir| Ok(fs::write(dir.join("file"), NEW)?),
        |dir, failure| require(dir, failure, NEW),
    )
}

/// Takes a full buffer for granted.
#[chaos(non_destructive)]
fn buffer_of_a_read_is_taken_as_full(cx: Context) -> Result {
    fs::write(cx.dir().join("source"), NEW)?;
    compare(
        &cx,
        ("read of source", "13 of 27"),
        |dir| {
            let mut bytes = [b' '; NEW.len()];
            let _ = File::open(dir.join("source"))?.read(&mut bytes)?;
            Ok(File::create(dir.join("file"))?.write_all(&bytes)?)
        },
        |dir| {
            let mut bytes = [b' '; NEW.len()];
            let mut source = File::open(dir.join("source"))?;
            source.read_exact(&mut bytes)?;
            assert_eq!(fs::read(dir.join("source"))?, bytes);
            Ok(File::create(dir.join("file"))?.write_all(&bytes)?)
        },
        |dir, failure| require(dir, failure, NEW),
    )
}

/// Reads at an offset, and takes the buffer as full.
#[chaos(non_destructive)]
fn buffer_of_a_read_at_an_offset_is_taken_as_full(cx: Context) -> Result {
    fs::write(cx.dir().join("source"), NEW)?;
    compare(
        &cx,
        ("pread64 of source", "2 of 4"),
        |dir| {
            let mut bytes = [b' '; 4];
            let _ = File::open(dir.join("source"))?.read_at(&mut bytes, 2)?;
            Ok(File::create(dir.join("file"))?.write_all(&bytes)?)
        },
        |dir| {
            let mut bytes = [b' '; 4];
            File::open(dir.join("source"))?.read_exact_at(&mut bytes, 2)?;
            Ok(File::create(dir.join("file"))?.write_all(&bytes)?)
        },
        |dir, failure| require(dir, failure, "new "),
    )
}

/// Appends two records. A short append must leave its first bytes at the end of the file.
#[chaos(non_destructive)]
fn count_of_an_append_is_ignored(cx: Context) -> Result {
    fn append(dir: &Path, write: fn(&mut File, &[u8]) -> io::Result<()>) -> Result {
        let mut log = File::options().append(true).open(dir.join("file"))?;
        write(&mut log, b"first;")?;
        write(&mut log, b"second;")?;
        Ok(())
    }
    fs::write(cx.dir().join("file"), "zeroth;")?;
    compare(
        &cx,
        ("write of 6 bytes at the end of file", "3 of 6"),
        |dir| append(dir, |log, bytes| log.write(bytes).map(|_| ())),
        |dir| append(dir, |log, bytes| log.write_all(bytes)),
        |dir, failure| require(dir, failure, "zeroth;first;second;"),
    )
}

/// Writes from several buffers, and at an offset.
#[chaos(non_destructive)]
fn count_of_a_gathered_write_is_ignored(cx: Context) -> Result {
    fs::write(cx.dir().join("file"), "..........")?;
    compare(
        &cx,
        ("writev of 7 bytes at 0 of file", "3 of 7"),
        |dir| {
            let mut file = File::options().write(true).open(dir.join("file"))?;
            let _ = file.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cdefg")])?;
            Ok(())
        },
        |dir| {
            let mut file = File::options().write(true).open(dir.join("file"))?;
            let buffers: [&[u8]; 2] = [b"ab", b"cdefg"];
            let mut done = file.write_vectored(&buffers.map(IoSlice::new))?;
            while done < 7 {
                // The position must be the one after the short write.
                assert_eq!(file.stream_position()?, done as u64);
                done += file.write(&b"abcdefg"[done..])?;
            }
            Ok(())
        },
        |dir, failure| require(dir, failure, "abcdefg..."),
    )
}

/// Reads into several buffers.
#[chaos(non_destructive)]
fn buffers_of_a_scattered_read_are_taken_as_full(cx: Context) -> Result {
    fn read(dir: &Path, again: bool) -> Result {
        let mut source = File::open(dir.join("source"))?;
        let (mut first, mut second) = ([b' '; 2], [b' '; 8]);
        let buffers = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let count = source.read_vectored(buffers)?;
        if again {
            assert_eq!(source.stream_position()?, count as u64);
            source.read_exact(&mut second[count - 2..])?;
        }
        Ok(fs::write(dir.join("file"), [&first[..], &second].concat())?)
    }
    fs::write(cx.dir().join("source"), "0123456789")?;
    compare(
        &cx,
        ("readv of source", "5 of 10"),
        |dir| read(dir, false),
        |dir| read(dir, true),
        |dir, failure| require(dir, failure, "0123456789"),
    )
}

/// Copies from file to file.
#[chaos(non_destructive)]
fn count_of_a_copy_is_ignored(cx: Context) -> Result {
    fn copy(dir: &Path, from: BorrowedFd<'_>, to: BorrowedFd<'_>, again: bool) -> Result {
        let copy = |count| rustix::fs::copy_file_range(from, None, to, None, count);
        let length = usize::try_from(fs::metadata(dir.join("source"))?.len())?;
        let mut left = length - copy(length)?;
        while again && left > 0 {
            left -= copy(left)?;
        }
        Ok(())
    }
    fn open_and_copy(dir: &Path, again: bool) -> Result {
        let from = File::open(dir.join("source"))?;
        let to = File::create(dir.join("file"))?;
        copy(dir, from.as_fd(), to.as_fd(), again)
    }
    fs::write(cx.dir().join("source"), NEW)?;
    compare(
        &cx,
        ("copy_file_range of 27 bytes at 0 of file", "13 of 27"),
        |dir| open_and_copy(dir, false),
        |dir| open_and_copy(dir, true),
        |dir, failure| require(dir, failure, NEW),
    )
}

/// Sends from file to file, from an offset in memory.
#[chaos(non_destructive)]
fn count_of_a_sent_file_is_ignored(cx: Context) -> Result {
    fn send(dir: &Path, again: bool) -> Result {
        let from = File::open(dir.join("source"))?;
        let mut to = File::options().write(true).open(dir.join("file"))?;
        to.seek(SeekFrom::Start(1))?;
        let mut offset = 2;
        let mut left = 8 - rustix::fs::sendfile(&to, &from, Some(&mut offset), 8)?;
        while again && left > 0 {
            assert_eq!(offset, 10 - left as u64);
            left -= rustix::fs::sendfile(&to, &from, Some(&mut offset), left)?;
        }
        Ok(())
    }
    fs::write(cx.dir().join("source"), "0123456789")?;
    fs::write(cx.dir().join("file"), "............")?;
    compare(
        &cx,
        ("sendfile of 8 bytes at 1 of file", "4 of 8"),
        |dir| send(dir, false),
        |dir| send(dir, true),
        |dir, failure| require(dir, failure, ".23456789..."),
    )
}

/// The calls of another program are short, too. It completes them.
#[chaos(non_destructive)]
fn call_of_another_program_is_short(cx: Context) -> Result {
    fs::write(cx.dir().join("source"), NEW)?;
    let explored = cx.fail_everywhere(
        [],
        |dir| {
            let copied = Command::new("sh")
                .args(["-c", "cat source > file"])
                .current_dir(dir)
                .status()?;
            match copied.success() {
                true => Ok(()),
                false => Err(format!("{copied}").into()),
            }
        },
        |dir, failure| require(dir, failure, NEW),
    )?;
    assert!(explored.points > 0, "{explored:?}");
    Ok(())
}

/// Memory that an unbuffered write accepts.
#[repr(align(4096))]
struct Aligned([u8; 4096]);

/// A call of one byte, a listing of a directory, a read at the end of a file, and an unbuffered
/// write are never short.
#[chaos(non_destructive)]
fn call_that_cannot_be_split_is_whole(cx: Context) -> Result {
    fs::write(cx.dir().join("source"), "1")?;
    let explored = cx.fail_everywhere(
        [],
        |dir| {
            let mut bytes = [0; 100];
            let mut source = File::open(dir.join("source"))?;
            assert_eq!((source.read(&mut bytes)?, source.read(&mut bytes)?), (1, 0));
            assert_eq!(fs::read_dir(dir)?.count(), 1);
            let _ = File::create(dir.join("file"))?.write(&bytes[..1])?;
            let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())?;
            let unbuffered = File::options()
                .write(true)
                .custom_flags(direct)
                .open(dir.join("file"));
            // Not every file system has unbuffered writes.
            if let Ok(mut unbuffered) = unbuffered {
                let _ = unbuffered.write(&Aligned([0; 4096]).0)?;
            }
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    assert_eq!(explored.points, 0, "{explored:?}");
    Ok(())
}

/// After a short write, the power fails. The first bytes of the write were synced, and the rest is
/// there without a sync.
#[chaos(non_destructive)]
fn rest_of_a_short_write_is_lost_with_the_power(cx: Context) -> Result {
    use clarity_chaos::explore::PowerLoss;
    fn append(dir: &Path, syncs_again: bool) -> Result {
        let mut log = File::options().append(true).open(dir.join("file"))?;
        let written = log.write(NEW.as_bytes())?;
        log.sync_data()?;
        if written < NEW.len() {
            log.write_all(&NEW.as_bytes()[written..])?;
            if syncs_again {
                log.sync_data()?;
            }
        }
        Ok(())
    }
    fn invariant(dir: &Path, failure: InjectedFailure) -> Result {
        let found = fs::read_to_string(dir.join("file"))?;
        match !failure.acknowledged() || found == format!("{OLD}{NEW}") {
            true => Ok(()),
            false => Err(format!("found {found:?}").into()),
        }
    }
    fs::write(cx.dir().join("file"), OLD)?;
    let explore = || cx.explore().power_loss(PowerLoss::Journaled);
    let explored = explore().fail_everywhere([Errno::EIO], |dir| append(dir, true), invariant)?;
    assert!(explored.states > 0, "{explored:?}");
    match explore().fail_everywhere([], |dir| append(dir, false), invariant) {
        Err(ExploreError::Broken(broken)) => {
            let ExploredState::CallFailed { failure, lost, .. } = &broken.state else {
                panic!("{broken:?}");
            };
            assert!(matches!(failure, CallFailure::Short { .. }), "{broken:?}");
            let lost = lost.as_deref().unwrap_or_default();
            let described: Vec<&str> = lost.iter().map(|call| call.description.as_str()).collect();
            assert_eq!(described, ["write of 14 bytes at the end of file"]);
            Ok(())
        }
        other => panic!("the wrong program is not broken: {other:?}"),
    }
}
