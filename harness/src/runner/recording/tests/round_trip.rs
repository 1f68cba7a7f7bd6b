//! Kept directories come back as they were, except for named omissions.

use super::{MEMBER, manifest, parse, record, recording_of};
use crate::runner::recording::recording_limits::RecordingLimits;
use crate::runner::recording::unpacking::unpack;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Records `from`, unpacks the recording, and returns the unpacked directory and the omissions.
fn copy(from: &Path, to: &Path) -> (PathBuf, Vec<(String, String)>) {
    let (bytes, left_out) = recording_of(from, RecordingLimits::DEFAULT);
    let archive = parse(&bytes).unwrap();
    assert_eq!(archive.manifest.left_out, left_out);
    let unpacked = unpack(&archive, to).unwrap();
    let left_out = left_out.into_iter();
    let left_out = left_out.map(|left| (left.path, left.reason)).collect();
    (unpacked.path.join(MEMBER), left_out)
}

#[test]
fn records_and_manifest_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, left_out) = recording_of(dir.path(), RecordingLimits::DEFAULT);
    let archive = parse(&bytes).unwrap();
    assert_eq!(left_out, []);
    assert_eq!(archive.manifest, manifest());
    assert_eq!(archive.records["records/1.json"], record());
}

#[test]
fn files_modes_and_long_names_come_back() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deep = from.path().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    let odd = OsStr::from_bytes(b"\xff\n\x1b*");
    let files = [
        (from.path().join("plain"), 0o640),
        (from.path().join("script"), 0o755),
        (deep.join("f".repeat(200)), 0o400),
        (from.path().join(odd), 0o600),
    ];
    for (path, mode) in &files {
        fs::write(path, path.as_os_str().as_bytes()).unwrap();
        set_mode(path, *mode);
    }
    fs::hard_link(&files[0].0, from.path().join("second name")).unwrap();
    fs::create_dir(from.path().join("empty")).unwrap();
    set_mode(&from.path().join("empty"), 0o500);
    set_mode(&deep, 0o750);
    let setuid = from.path().join("setuid");
    fs::write(&setuid, "").unwrap();
    set_mode(&setuid, 0o4755);

    let (kept, left_out) = copy(from.path(), to.path());
    assert_eq!(left_out, []);
    for (path, expected) in &files {
        let copy = kept.join(path.strip_prefix(from.path()).unwrap());
        assert_eq!(mode(&copy), *expected, "{}", copy.display());
        if rustix::process::geteuid().is_root() || expected & 0o400 != 0 {
            assert_eq!(fs::read(&copy).unwrap(), path.as_os_str().as_bytes());
        }
    }
    assert_eq!(
        fs::read(kept.join("second name")).unwrap(),
        files[0].0.as_os_str().as_bytes()
    );
    assert_eq!(mode(&kept.join("empty")), 0o500);
    assert_eq!(
        mode(&kept.join("d".repeat(200)).join("e".repeat(200))),
        0o750
    );
    assert_eq!(mode(&kept.join("setuid")), 0o755, "the copy is setuid");
}

#[test]
fn sparse_files_stay_sparse() {
    const LENGTH: u64 = 1 << 30;
    const AT: u64 = 700 << 20;
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = from.path().join("map");
    let mut file = File::create(&path).unwrap();
    file.seek(SeekFrom::Start(AT)).unwrap();
    file.write_all(b"in the middle").unwrap();
    file.set_len(LENGTH).unwrap();
    File::create(from.path().join("hole"))
        .unwrap()
        .set_len(LENGTH)
        .unwrap();
    if file.metadata().unwrap().blocks() > 1 << 11 {
        // This file system has no sparse files.
        return;
    }
    let (bytes, _) = recording_of(from.path(), RecordingLimits::DEFAULT);
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());

    let (kept, left_out) = copy(from.path(), to.path());
    assert_eq!(left_out, []);
    for name in ["map", "hole"] {
        let found = fs::metadata(kept.join(name)).unwrap();
        assert_eq!(found.len(), LENGTH);
        assert!(
            found.blocks() < 1 << 11,
            "{name}: {} blocks",
            found.blocks()
        );
    }
    let mut copy = File::open(kept.join("map")).unwrap();
    let mut text = [1; 15];
    copy.seek(SeekFrom::Start(AT - 1)).unwrap();
    copy.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"\0in the middle\0");
}

#[test]
fn symlinks_within_come_back_and_others_are_named() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(from.path().join("dir/sub")).unwrap();
    fs::write(from.path().join("file"), "content").unwrap();
    let inside = [
        ("dir/sub/up", "../../file"),
        ("gone", "nowhere"),
        ("to-dir", "dir"),
    ];
    let long = "x/".repeat(100) + "y";
    let outside = [
        ("dir/out", "../../other"),
        ("absolute", "/etc/passwd"),
        ("back", "dir/.."),
    ];
    for (link, target) in inside.iter().chain(&outside) {
        symlink(target, from.path().join(link)).unwrap();
    }
    symlink(&long, from.path().join("long")).unwrap();

    let (kept, left_out) = copy(from.path(), to.path());
    for (link, target) in inside.into_iter().chain([("long", long.as_str())]) {
        assert_eq!(fs::read_link(kept.join(link)).unwrap(), Path::new(target));
    }
    assert_eq!(
        fs::read_to_string(kept.join("dir/sub/up")).unwrap(),
        "content"
    );
    assert_eq!(left_out.len(), outside.len(), "{left_out:?}");
    for (link, target) in outside {
        assert!(fs::symlink_metadata(kept.join(link)).is_err(), "{link}");
        let path = from.path().join(link).display().to_string();
        let reason = &left_out.iter().find(|left| left.0 == path).unwrap().1;
        let expected = format!("it is a symlink to {target}, which may lead out");
        assert!(reason.starts_with(&expected), "{reason}");
    }
}

#[test]
fn sockets_fifos_and_unreadable_files_are_named() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| from.path().join(name);
    let _listener = UnixListener::bind(path("socket")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), fifo, 0o600.into(), 0).unwrap();
    for name in ["secret", "plain"] {
        fs::write(path(name), name).unwrap();
    }
    fs::create_dir(path("closed")).unwrap();
    fs::write(path("closed/in"), "").unwrap();
    set_mode(&path("secret"), 0);
    set_mode(&path("closed"), 0);
    let (kept, left_out) = copy(from.path(), to.path());
    set_mode(&path("closed"), 0o700);
    set_mode(&kept.join("closed"), 0o700);

    let reason = |name: &str| {
        let path = path(name).display().to_string();
        let left = left_out.iter().find(|left| left.0 == path);
        left.map(|left| left.1.as_str())
    };
    assert_eq!(reason("socket"), Some("it is a socket"));
    assert_eq!(reason("fifo"), Some("it is a FIFO"));
    assert_eq!(fs::read_to_string(kept.join("plain")).unwrap(), "plain");
    let denied = "Permission denied (os error 13)";
    if rustix::process::geteuid().is_root() {
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert_eq!(mode(&kept.join("secret")), 0);
    } else {
        assert_eq!(reason("secret"), Some(denied));
        assert_eq!(reason("closed/*"), Some(denied));
    }
}

#[test]
fn file_that_changes_all_the_time_breaks_no_recording() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let from = tempfile::tempdir().unwrap();
    let path = from.path().join("changing");
    fs::write(&path, "").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            for length in (0..1 << 16).cycle().step_by(997) {
                file.set_len(length).unwrap();
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let results: Vec<_> = (0..100)
            .map(|_| {
                let (bytes, left_out) = recording_of(from.path(), RecordingLimits::DEFAULT);
                (parse(&bytes).map(|_| ()), left_out)
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        for (parsed, left_out) in results {
            parsed.unwrap();
            for left in left_out {
                assert_eq!(Path::new(&left.path), path);
            }
        }
    });
}

#[test]
fn unpacking_twice_uses_the_first_directory() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("file"), "content").unwrap();
    let (first, _) = copy(from.path(), to.path());
    fs::write(first.join("mine"), "").unwrap();
    let (second, _) = copy(from.path(), to.path());
    assert_eq!(first, second);
    assert!(first.join("mine").exists());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn failed_unpacking_leaves_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (bytes, _) = recording_of(from.path(), RecordingLimits::DEFAULT);
    let archive = parse(&bytes).unwrap();
    let file = to.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(unpack(&archive, &file).is_err());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}
