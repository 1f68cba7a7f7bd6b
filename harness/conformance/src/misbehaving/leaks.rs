//! Tests that leak resources of one or several kinds, and tests that only seem to leak.

use clarity_chaos::{Context, Result, chaos};
use std::fs::File;
use std::mem;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Starts a thread called `name` that never ends, and waits until the thread runs.
fn park_a_thread(name: &str) -> Result {
    let (ready, is_ready) = mpsc::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        let _ = ready.send(());
        loop {
            thread::park();
        }
    })?;
    is_ready.recv()?;
    Ok(())
}

/// A thread is still running when the test ends.
#[chaos(non_destructive)]
fn a_thread() -> Result {
    park_a_thread("left-running")
}

/// A blocking task is still running after the Tokio runtime has ended.
#[chaos(non_destructive)]
async fn a_blocking_task() -> Result {
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _ = ready.send(());
        loop {
            thread::park();
        }
    });
    is_ready.await?;
    Ok(())
}

/// A file stays open.
#[chaos(non_destructive)]
fn a_file_descriptor(cx: Context) -> Result {
    mem::forget(File::create(cx.dir().join("left open"))?);
    Ok(())
}

/// A port stays bound.
#[chaos(non_destructive)]
fn a_listener(cx: Context) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    cx.note(listener.local_addr()?);
    mem::forget(listener);
    Ok(())
}

/// A pair of sockets stays open.
#[chaos(non_destructive)]
fn a_socket_pair() -> Result {
    mem::forget(UnixStream::pair()?);
    Ok(())
}

/// A file remains in the temporary directory.
#[chaos(non_destructive)]
fn a_temporary_file() -> Result {
    File::create(std::env::temp_dir().join("left-behind"))?;
    Ok(())
}

/// A directory remains in the temporary directory, and contains a directory of mode 000.
#[chaos(non_destructive)]
fn a_temporary_folder() -> Result {
    use std::os::unix::fs::PermissionsExt as _;
    let locked = std::env::temp_dir().join("left-behind/locked");
    std::fs::create_dir_all(&locked)?;
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000))?;
    Ok(())
}

/// A file remains in `/dev/shm`.
#[chaos(non_destructive)]
fn shared_memory() -> Result {
    File::create("/dev/shm/left-behind")?;
    Ok(())
}

/// Leaks a thread, a descriptor and a file. The test is not marked `non_destructive`, so it may
/// leak.
#[chaos]
fn everything_and_may(cx: Context) -> Result {
    a_thread()?;
    a_file_descriptor(cx)?;
    a_temporary_file()
}

/// Leaks a thread, a descriptor and a file, and allows each leak.
#[chaos(non_destructive)]
fn declared(cx: Context) -> Result {
    cx.allow_leak("thread `left-running`");
    cx.allow_leak("left open");
    cx.allow_leak("left-behind");
    everything_and_may(cx)
}

/// Leaks two threads, and allows only one of these leaks.
#[chaos(non_destructive)]
fn half_declared(cx: Context) -> Result {
    cx.allow_leak("thread `left-running`");
    park_a_thread("left-running")?;
    park_a_thread("another")
}

/// Uses threads, descriptors, a child process, a temporary file and a Tokio runtime. Leaks nothing.
#[chaos(non_destructive)]
fn nothing(cx: Context) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let worker = thread::spawn(move || listener.accept().map(drop));
    drop(std::net::TcpStream::connect(address)?);
    worker.join().map_err(|_| "the worker has panicked")??;
    // Nothing joins this thread. The thread ends soon, so it is not a leak.
    let (end, ended) = mpsc::channel::<()>();
    thread::spawn(move || ended.recv());
    drop(end);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let _unused = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, std::io::Error>(())
    })?;
    drop(runtime);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::copy(file.path(), cx.dir().join("a copy, which may stay"))?;
    drop(file);
    let ran = Command::new("true").status()?;
    assert!(ran.success());
    Ok(())
}

/// Leaks nothing in an async test.
#[chaos(non_destructive)]
async fn nothing_async() -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // The task runs until the Tokio runtime is dropped.
    tokio::spawn(async move {
        loop {
            let _ = listener.accept().await;
        }
    });
    drop(tokio::net::TcpStream::connect(address).await?);
    tokio::task::spawn_blocking(|| ()).await?;
    Ok(())
}

/// Leaks nothing with a manual clock.
#[chaos(non_destructive, clock = "manual")]
async fn nothing_manual() -> Result {
    let _listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(())
}

/// Forks a process, which never ends, and gives the process this name.
fn fork_a_daemon(name: Option<&std::ffi::CStr>) -> Result {
    // SAFETY: the child only makes system calls, and never returns.
    if let nix::unistd::ForkResult::Child = unsafe { nix::unistd::fork() }? {
        let _ = nix::unistd::setsid();
        if let Some(name) = name {
            let _ = rustix::thread::set_name(name);
        }
        loop {
            nix::unistd::pause();
        }
    }
    Ok(())
}

/// A daemon that was forked, and not executed, is still running at the end of the test.
#[chaos(non_destructive)]
fn a_forked_daemon() -> Result {
    fork_a_daemon(Some(c"own-daemon"))
}

/// A forked process without a name of its own is still running at the end of the test.
#[chaos(non_destructive)]
fn a_fork() -> Result {
    fork_a_daemon(None)
}

/// Hangs with a forked daemon.
#[chaos(timeout = "1s")]
fn hangs_with_a_forked_daemon() -> Result {
    fork_a_daemon(Some(c"own-daemon"))?;
    loop {
        thread::park();
    }
}
