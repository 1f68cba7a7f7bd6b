//! Tests that bind Unix sockets in their directories.

use clarity_chaos::{Context, Result, chaos};
use std::env;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The largest number of bytes that the harness may add to `TMPDIR`.
const ADDED: usize = 40;

/// Checks the number of bytes that the path of `directory` adds to `TMPDIR`.
fn is_short(directory: &Path) -> Result {
    let tmp = env::var("MISBEHAVING_TMPDIR")?;
    let inside = directory.strip_prefix(&tmp)?;
    // A worker's name has up to six bytes. The name of this worker may have fewer.
    let length = inside.iter().nth(1).map_or(0, |worker| worker.len());
    let added = 1 + inside.as_os_str().len() + (6 - length);
    assert!(added <= ADDED, "{added} bytes: {}", directory.display());
    Ok(())
}

mod in_a_module_with_a_name_that_is_rather_long {
    mod and_in_another_module_with_a_name_that_is_even_longer {
        use super::super::*;

        /// Binds a socket in each of its directories. The directory of an exploration is short,
        /// too.
        #[chaos(non_destructive)]
        fn of_a_test_with_a_long_name(cx: Context) -> Result {
            let home = env::var("HOME")?;
            for directory in [cx.dir(), &env::temp_dir(), Path::new(&home)] {
                is_short(directory)?;
                let socket = directory.join("s");
                drop(UnixListener::bind(&socket)?);
                fs::remove_file(socket)?;
            }
            cx.crash_everywhere(
                |directory| {
                    is_short(directory)?;
                    Ok(fs::write(directory.join("file"), "")?)
                },
                |_, _| Ok(()),
            )?;
            Ok(())
        }
    }
}

/// Binds a socket in the test's directory.
#[chaos(non_destructive)]
fn of_a_plain_test(cx: Context) -> Result {
    drop(UnixListener::bind(cx.dir().join("s"))?);
    Ok(())
}

/// Fails with the words of a C program whose socket has too long a path.
#[chaos(non_destructive)]
fn of_a_program() -> Result {
    println!("Unix-domain socket path \"/…/.s.PGSQL.5432\" is too long (maximum 107 bytes)");
    Err("the server did not start".into())
}
