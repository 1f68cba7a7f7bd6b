use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::*;
use crate::store::links::LinkRoots;

/// A directory with `models/m/1/a`, and `cache/a`. Each file contains its path.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in ["models/m/1/a", "cache/a", "cache/deep/b", "secret"] {
            let path = tree.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        tree
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn link(&self, target: impl AsRef<Path>, link: &str) {
        let _ = fs::remove_file(self.path(link));
        symlink(target, self.path(link)).unwrap();
    }

    fn walk(&self, roots: &[&str]) -> Walk {
        let roots: Vec<_> = roots.iter().map(|root| self.path(root)).collect();
        Walk::new(&self.path("models"), &LinkRoots::open(&roots).unwrap()).unwrap()
    }

    /// Opens `name` in version 1; returns the content of the file, or the error in short.
    fn open(&self, roots: &[&str], name: &str) -> String {
        let walk = self.walk(roots);
        match walk.directory(&["m", "1"]) {
            Ok(place) => read(&walk, &place, name),
            Err(error) => format!("version: {error:?}"),
        }
    }
}

fn read(walk: &Walk, place: &Place, name: &str) -> String {
    match walk.open(place, name) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        }
        Err(WalkError::LinkNotAllowed { link, target }) => {
            let link = link.rsplit('/').next().unwrap();
            format!("{link} to {target} is not allowed")
        }
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn links_are_followed_inside_of_roots_only() {
    let tree = Fixture::new();
    assert_eq!(tree.open(&[], "a"), "models/m/1/a");
    for target in ["../../../cache/a", "../../../cache/deep/../a"] {
        tree.link(target, "models/m/1/link");
        let refused = format!("link to {target} is not allowed");
        assert_eq!(tree.open(&[], "link"), refused);
        assert_eq!(tree.open(&["models"], "link"), refused);
        assert_eq!(tree.open(&["cache"], "link"), "cache/a");
        assert_eq!(tree.open(&["models", "cache"], "link"), "cache/a");
    }
    let absolute = tree.path("cache/a");
    tree.link(&absolute, "models/m/1/link");
    assert_eq!(tree.open(&["cache"], "link"), "cache/a");
    assert!(tree.open(&["models"], "link").contains("is not allowed"));
    // A sibling with the same beginning is no part of the root.
    fs::create_dir(tree.path("cac")).unwrap();
    assert!(tree.open(&["cac"], "link").contains("is not allowed"));
}

#[test]
fn no_link_leaves_its_root() {
    let tree = Fixture::new();
    tree.link("../secret", "cache/out");
    tree.link("deep", "cache/inside");
    for target in [
        "../../../cache/out",
        "../../../cache/../secret",
        "../../../cache/inside/../../secret",
        "../../../secret",
        "/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd",
    ] {
        tree.link(target, "models/m/1/link");
        let opened = tree.open(&["cache", "models"], "link");
        assert!(opened.contains("is not allowed"), "{target}: {opened}");
    }
    tree.link("../../../cache/inside/../a", "models/m/1/link");
    assert_eq!(tree.open(&["cache"], "link"), "cache/a");
}

#[test]
fn each_component_can_be_a_link() {
    let tree = Fixture::new();
    fs::rename(tree.path("models"), tree.path("real")).unwrap();
    fs::rename(tree.path("real/m"), tree.path("real/model")).unwrap();
    fs::rename(tree.path("real/model/1"), tree.path("real/model/version")).unwrap();
    tree.link("version", "real/model/1");
    tree.link("model", "real/m");
    tree.link("real", "models");
    tree.link("../../../cache/deep", "real/model/version/weights");
    assert_eq!(tree.open(&["real", "cache"], "a"), "models/m/1/a");
    assert_eq!(tree.open(&["real", "cache"], "weights/b"), "cache/deep/b");
    assert_eq!(tree.open(&["."], "weights/b"), "cache/deep/b");
    // The root can be named through a link, too.
    assert_eq!(tree.open(&["models"], "a"), "models/m/1/a");
    assert!(
        tree.open(&["cache"], "a")
            .starts_with("version: LinkNotAllowed")
    );
    assert!(tree.open(&[], "a").starts_with("version: LinkNotAllowed"));
}

#[test]
fn loops_and_dangling_links_end() {
    let tree = Fixture::new();
    tree.link("second", "models/m/1/first");
    tree.link("first", "models/m/1/second");
    tree.link("self", "models/m/1/self");
    for name in ["first", "self", "self/a"] {
        let opened = tree.open(&["models"], name);
        assert!(opened.contains("FilesystemLoop"), "{opened}");
    }
    tree.link("nowhere", "models/m/1/link");
    assert_eq!(tree.open(&["models"], "link"), "NotFound");
    assert_eq!(tree.open(&["models"], "a/below"), "NotDirectory");
}

#[test]
fn a_walk_reads_each_link_once() {
    let tree = Fixture::new();
    for number in ["1", "2"] {
        for file in ["a", "b"] {
            let path = tree.path(&format!("models/m/1/..{number}/{file}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, number).unwrap();
        }
    }
    for file in ["a", "b"] {
        tree.link(format!("..data/{file}"), &format!("models/m/1/{file}"));
    }
    tree.link("..1", "models/m/1/..data");
    let walk = tree.walk(&["models"]);
    let place = walk.directory(&["m", "1"]).unwrap();
    assert_eq!(read(&walk, &place, "a"), "1");
    assert!(!walk.has_changed());
    tree.link("..2", "models/m/1/..data");
    assert_eq!(read(&walk, &place, "b"), "1", "the link is not read again");
    assert!(walk.has_changed());
    assert_eq!(tree.open(&["models"], "b"), "2");
}

#[test]
fn a_walk_notices_that_a_directory_was_replaced() {
    let tree = Fixture::new();
    let walk = tree.walk(&[]);
    let place = walk.directory(&["m", "1"]).unwrap();
    assert!(!walk.has_changed());
    fs::rename(tree.path("models/m/1"), tree.path("models/m/2")).unwrap();
    assert!(walk.has_changed());
    fs::create_dir(tree.path("models/m/1")).unwrap();
    assert!(walk.has_changed());
    assert_eq!(read(&walk, &place, "a"), "models/m/1/a");
}

#[test]
#[cfg(target_os = "linux")]
fn absolute_links_of_a_process_begin_at_its_root() {
    let tree = Fixture::new();
    let in_process = Path::new("/proc/self/root").join(tree.0.path().strip_prefix("/").unwrap());
    tree.link(tree.path("cache/a"), "models/m/1/link");
    let open = |root: &Path| {
        let roots = LinkRoots::open(&[root.to_owned()]).unwrap();
        let walk = Walk::new(&in_process.join("models"), &roots).unwrap();
        let place = walk.directory(&["m", "1"]).unwrap();
        read(&walk, &place, "link")
    };
    assert_eq!(open(&in_process), "cache/a");
    assert_eq!(open(Path::new("/proc/self/root")), "cache/a");
    assert!(open(&in_process.join("models")).contains("is not allowed"));
    // A link into the root of a process is followed only if that root is named.
    tree.link(in_process.join("cache/a"), "models/m/1/link");
    let roots = LinkRoots::open(std::slice::from_ref(&in_process)).unwrap();
    let walk = Walk::new(&tree.path("models"), &roots).unwrap();
    let place = walk.directory(&["m", "1"]).unwrap();
    assert_eq!(read(&walk, &place, "link"), "cache/a");
    assert!(tree.open(&["."], "link").contains("is not allowed"));
}
