//! The rules for the paths and symlinks in a recording. They keep each file in its directory.

/// The largest length of a member's path, in bytes.
const MAX_PATH: usize = 4096;

/// Checks the path of a member: plain names, separated by single slashes.
///
/// # Errors
///
/// When the path is empty, absolute or too long, or has an empty name, `.` or `..`. On Windows,
/// also when a name has a character with a meaning in paths.
pub(super) fn check(path: &[u8]) -> Result<(), String> {
    if path.len() > MAX_PATH {
        return Err(format!(
            "expected a path of at most {MAX_PATH} bytes, found {}",
            path.len()
        ));
    }
    for name in names(path) {
        let special = match name {
            b"" | b"." | b".." => true,
            _ if cfg!(windows) => name.iter().any(|byte| b"\\:".contains(byte)),
            _ => false,
        };
        if special || name.contains(&0) {
            return Err(format!(
                "expected a relative path of plain names, found the name `{}`",
                name.escape_ascii()
            ));
        }
    }
    Ok(())
}

/// Returns the path of the directory that contains `path`. Returns `None` for a single name.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}

/// Whether a symlink at `path` leads to a place inside of its kept directory. The kept directory is
/// the first two names of `path`.
///
/// A target has any number of `..` and then plain names. So it cannot climb out of a directory that
/// it entered through another symlink.
// A proof by induction: the kernel applies the leading `..` to the real directory of the symlink,
// which is deep enough. Each further name leads down, or is another symlink of this kind.
pub(super) fn stays_inside(path: &[u8], target: &[u8]) -> bool {
    let windows = cfg!(windows) && target.iter().any(|byte| b"\\:".contains(byte));
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) || windows {
        return false;
    }
    let depth = names(path).count().saturating_sub(3);
    let steps = names(target).filter(|name| !matches!(*name, b"" | b"."));
    let (mut ups, mut is_down) = (0, false);
    for step in steps {
        match step {
            b".." if is_down => return false,
            b".." => ups += 1,
            _ => is_down = true,
        }
    }
    ups <= depth
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_accepts_plain_relative_paths_only() {
        for path in ["a", "kept/1-a/dir/..b", "a/ b/\u{e4}", "a/...", "a/-x"] {
            assert_eq!(check(path.as_bytes()), Ok(()), "{path}");
        }
        check(b"kept/1/\xff\n").unwrap();
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/..",
            "a/../b",
            "../a",
            ".",
            "./a",
            "a//b",
            "a/",
            "a\0b",
        ] {
            assert!(check(path.as_bytes()).is_err(), "{path:?}");
        }
        check(&[b'a'; MAX_PATH]).unwrap();
        assert!(check(&[b'a'; MAX_PATH + 1]).is_err());
        assert!(check(&[b"a/".repeat(MAX_PATH), b"a".to_vec()].concat()).is_err());
    }

    #[test]
    fn stays_inside_refuses_ways_out() {
        let link = "kept/1-a/dir/sub/link";
        for target in [
            "x",
            "./x",
            "../x",
            "../..",
            "../../dir/x",
            "x//y",
            "..x",
            "gone",
        ] {
            assert!(stays_inside(link.as_bytes(), target.as_bytes()), "{target}");
        }
        for target in [
            "",
            "/",
            "/etc",
            "../../..",
            "../../../x",
            "x/..",
            "x/../y",
            "../x/../../..",
            "x\0",
        ] {
            assert!(
                !stays_inside(link.as_bytes(), target.as_bytes()),
                "{target}"
            );
        }
        assert!(stays_inside(b"kept/1-a/link", b"x"));
        assert!(!stays_inside(b"kept/1-a/link", b".."));
        assert!(!stays_inside(b"kept/link", b".."));
    }
}
