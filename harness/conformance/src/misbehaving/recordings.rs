//! Tests for recordings: a directory with all kinds of files, and a test that hangs.

use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Fails, and leaves files of all kinds.
#[chaos]
fn leaves_all_kinds_of_files(cx: Context) -> Result {
    let path = |name: &str| cx.dir().join(name);
    fs::write(path("plain"), "content")?;
    fs::set_permissions(path("plain"), Permissions::from_mode(0o640))?;
    File::create(path("sparse"))?.set_len(1 << 30)?;
    fs::create_dir(path("sub"))?;
    symlink("../plain", path("sub/inside"))?;
    symlink("/etc/passwd", path("outside"))?;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), fifo, 0o600.into(), 0)?;
    drop(UnixListener::bind(path("socket"))?);
    Err("the directory is to be kept".into())
}

/// Fails, and leaves more than a recording can hold.
#[chaos(timeout = "120s")]
fn leaves_too_much(cx: Context) -> Result {
    let block = vec![1; 1 << 20];
    let mut file = File::create(cx.dir().join("large"))?;
    for _ in 0..129 {
        std::io::Write::write_all(&mut file, &block)?;
    }
    Err("the directory is to be kept".into())
}

/// Fails unless the file that `MISBEHAVING_FILE` names exists.
#[chaos]
fn needs_a_file() {
    let file = std::env::var_os("MISBEHAVING_FILE");
    assert!(file.is_some_and(|file| Path::new(&file).exists()));
}
