//! Damaged and hostile recordings. Each is an error, and no file appears anywhere.

use super::{MEMBER, manifest, parse, record, recording_of};
use crate::runner::recording::archive::Archive;
use crate::runner::recording::recording_limits::RecordingLimits;
use crate::runner::recording::trailer;
use crate::runner::recording::unpacking::unpack;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::fs;
use tar::{EntryType, Header};

/// An archive in progress, with members that a writer would refuse.
struct Forgery {
    bytes: Vec<u8>,
}

impl Forgery {
    /// Begins with a valid record and an empty kept directory.
    fn new() -> Self {
        let json = serde_json::to_vec(&record()).unwrap();
        Self { bytes: Vec::new() }
            .with_file("records/1.json", &json)
            .with(EntryType::Directory, MEMBER, |_| {}, b"")
    }

    fn with_file(self, path: &str, content: &[u8]) -> Self {
        self.with(EntryType::Regular, path, |_| {}, content)
    }

    fn with_link(self, kind: EntryType, path: &str, target: &str) -> Self {
        let set = |header: &mut Header| {
            let name = &mut header.as_gnu_mut().unwrap().linkname;
            name[..target.len()].copy_from_slice(target.as_bytes());
        };
        self.with(kind, path, set, b"")
    }

    /// Adds a member. `change` changes the header before its checksum is set.
    fn with(
        mut self,
        kind: EntryType,
        path: &str,
        change: impl FnOnce(&mut Header),
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// Adds the manifest and a digest that is right.
    fn finish(self) -> Vec<u8> {
        let manifest = serde_json::to_vec(&manifest()).unwrap();
        self.with_file("manifest.json", &manifest).seal()
    }

    fn seal(self) -> Vec<u8> {
        let trailer = trailer::of(&self.bytes).unwrap();
        [self.bytes, trailer].concat()
    }
}

/// Asserts that a recording is refused, with an error that contains `words`.
#[track_caller]
fn assert_refused(bytes: &[u8], words: &str) {
    let error = parse(bytes).unwrap_err();
    assert!(error.contains(words), "expected `{words}`, found `{error}`");
}

fn kept(name: &str) -> String {
    format!("{MEMBER}/{name}")
}

#[test]
fn forgery_without_a_trick_is_accepted() {
    let bytes = Forgery::new().with_file(&kept("file"), b"x").finish();
    parse(&bytes).unwrap();
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in [
        "/etc/passwd",
        "../x",
        "kept/../../x",
        "kept/1-a.b/../../../x",
        "kept/1-a.b/..",
        "kept/1-a.b/./x",
        "kept/1-a.b//x",
        "kept/1-a.b/x/",
        "..",
        "",
    ] {
        for kind in [EntryType::Regular, EntryType::Directory, EntryType::Symlink] {
            let bytes = Forgery::new().with_link(kind, path, "x").finish();
            assert_refused(&bytes, "expected a relative path of plain names");
        }
    }
    for path in [
        "other",
        "kept/file",
        "kept/2-c/file",
        "records/sub/1.json",
        "kept/1-a.b/no/file",
    ] {
        let bytes = Forgery::new().with_file(path, b"x").finish();
        assert_refused(&bytes, "expected its directory before it");
    }
    // A long name stands in a member of its own.
    let long = format!("{}x", "../".repeat(50));
    let bytes = Forgery::new()
        .with(
            EntryType::GNULongName,
            "././@LongLink",
            |_| {},
            long.as_bytes(),
        )
        .with_file("x", b"x")
        .finish();
    assert_refused(&bytes, "expected a relative path of plain names");
}

#[test]
fn symlinks_that_lead_out_are_refused() {
    for target in ["/etc", "..", "../../..", "x/../..", "x/..", ""] {
        let bytes = Forgery::new()
            .with_link(EntryType::Symlink, &kept("link"), target)
            .finish();
        assert_refused(&bytes, "expected a symlink within its kept directory");
    }
    // Nothing is written through a symlink, not even one that stays inside.
    let bytes = Forgery::new()
        .with_link(EntryType::Symlink, &kept("link"), "dir")
        .with_file(&kept("link/file"), b"x")
        .finish();
    assert_refused(&bytes, "expected its directory before it");
}

#[test]
fn other_kinds_of_members_are_refused() {
    for kind in [
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Continuous,
        EntryType::XGlobalHeader,
        EntryType::new(b'Z'),
    ] {
        let bytes = Forgery::new()
            .with_link(kind, &kept("odd"), "/etc/passwd")
            .finish();
        assert!(parse(&bytes).is_err(), "{kind:?}");
    }
    let pax = b"22 path=../../escaped\n";
    let bytes = Forgery::new()
        .with(EntryType::XHeader, "pax", |_| {}, pax)
        .with_file(&kept("file"), b"x")
        .finish();
    assert!(parse(&bytes).is_err());
}

#[test]
fn names_that_are_used_twice_are_refused() {
    let first = Forgery::new().with_file(&kept("name"), b"x");
    let bytes = first.with_file(&kept("name"), b"y").finish();
    assert_refused(&bytes, "expected each path once");
    let first = Forgery::new().with_link(EntryType::Symlink, &kept("name"), "x");
    let bytes = first.with_file(&kept("name"), b"y").finish();
    assert_refused(&bytes, "expected each path once");
}

#[test]
fn false_sizes_are_refused() {
    let huge = |header: &mut Header| header.set_size(u64::MAX / 2);
    for path in [
        kept("file"),
        "records/2.json".to_owned(),
        "manifest.json".to_owned(),
    ] {
        let bytes = Forgery::new()
            .with(EntryType::Regular, &path, huge, b"x")
            .finish();
        assert!(parse(&bytes).is_err(), "{path}");
    }
    let sparse = |header: &mut Header| {
        let header = header.as_gnu_mut().unwrap();
        header.set_real_size(1 << 60);
        header.sparse[0].set_offset(1 << 60);
        header.sparse[0].set_length(0);
    };
    let bytes = Forgery::new()
        .with(EntryType::GNUSparse, &kept("file"), sparse, b"")
        .finish();
    assert_refused(&bytes, "expected kept files of at most 17179869184 bytes");
    let content = |header: &mut Header| header.set_size(1);
    let bytes = Forgery::new()
        .with(EntryType::Directory, &kept("dir"), content, b"x")
        .finish();
    assert!(parse(&bytes).is_err());
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    assert_refused(
        &Forgery::new().seal(),
        "expected the member `manifest.json`",
    );
    let seal = |manifest| {
        let json = serde_json::to_vec(&manifest).unwrap();
        Forgery::new().with_file("manifest.json", &json).seal()
    };
    let mut twice = manifest();
    twice.cases.push(twice.cases[0].clone());
    assert_refused(&seal(twice), "the test `a::b` is recorded twice");
    for member in ["records/2.json", "/etc/passwd", "kept/1-a.b"] {
        let mut other = manifest();
        other.cases[0].record = Some(member.to_owned());
        assert_refused(&seal(other), "is not the record of `a::b`");
    }
    let mut other = manifest();
    other.cases[0].name = "a::c".to_owned();
    assert_refused(&seal(other), "is not the record of `a::c`");
    for member in [
        "kept/2",
        "kept",
        "../..",
        "/",
        "records/1.json",
        "kept/1-a.b/..",
    ] {
        let mut other = manifest();
        other.cases[0].directories[0].member = member.to_owned();
        assert_refused(&seal(other), "is not a kept directory");
    }
    let mut later = manifest();
    later.schema = 2;
    assert_refused(&seal(later), "expected schema 1, found 2");
}

#[test]
fn members_after_the_end_are_refused() {
    let bytes = Forgery::new().finish();
    let members = bytes[..bytes.len() - trailer::LENGTH].to_vec();
    // Two blocks of zeros end an archive.
    let ended = Forgery {
        bytes: [members.clone(), vec![0; 1024]].concat(),
    };
    let bytes = ended.with_file(&kept("later"), b"x").seal();
    assert_refused(&bytes, "at the end only");
    let first = Forgery { bytes: members }.with_file("sha256", b"x");
    assert_refused(&first.seal(), "expected each path once");
}

/// A small recording with each kind of member.
fn small_recording() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/file"), "content").unwrap();
    let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("sub/file", dir.path().join("link")).unwrap();
    recording_of(dir.path(), RecordingLimits::DEFAULT).0
}

#[test]
fn each_truncation_is_an_error() {
    let bytes = small_recording();
    for length in 0..bytes.len() {
        assert!(parse(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn each_flipped_bit_is_an_error() {
    let bytes = small_recording();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2_000 {
        let mut flipped = bytes.clone();
        let place = random.random_range(0..flipped.len());
        flipped[place] ^= 1 << random.random_range(0..8);
        assert!(parse(&flipped).is_err(), "{place}");
    }
}

/// Changes the bytes of members and headers, with digests and checksums that are right.
#[test]
fn changed_bytes_never_reach_outside() {
    let bytes = small_recording();
    let members = &bytes[..bytes.len() - trailer::LENGTH];
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let mut changed = members.to_vec();
        let block = random.random_range(0..changed.len() / 512) * 512;
        let header = &mut changed[block..block + 512];
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..header.len());
            header[place] = *[0, b'/', b'.', b'0', b'7', 0xff, random.random()]
                .get(random.random_range(0..7))
                .unwrap();
        }
        let mut checked = Header::new_old();
        checked.as_mut_bytes().copy_from_slice(header);
        checked.set_cksum();
        header.copy_from_slice(checked.as_bytes());
        let trailer = trailer::of(&changed).unwrap();
        match parse(&[changed, trailer].concat()) {
            Ok(archive) => {
                accepted += 1;
                assert_unpacks_inside(&archive);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 10 && refused > 10, "{accepted}, {refused}");
}

/// Unpacks a recording, and asserts that nothing appears outside of its directory.
fn assert_unpacks_inside(archive: &Archive) {
    let base = tempfile::tempdir().unwrap();
    let parent = base.path().join("a/b");
    fs::create_dir_all(&parent).unwrap();
    let unpacked = unpack(archive, &parent);
    let names = |path: &std::path::Path| -> Vec<_> {
        let entries = fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(names(base.path()), [base.path().join("a")]);
    assert_eq!(names(&base.path().join("a")), std::slice::from_ref(&parent));
    let expected: Vec<_> = unpacked
        .iter()
        .map(|unpacked| unpacked.path.clone())
        .collect();
    assert_eq!(names(&parent), expected);
    let _ = crate::os::directory::remove(base.path());
}
