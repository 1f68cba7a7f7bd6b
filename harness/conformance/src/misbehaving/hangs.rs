//! Tests that hang, each in a different call.

use clarity_chaos::{Context, Result, chaos};
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Waits for a connection that never comes.
#[chaos(timeout = "1s")]
fn in_accept() -> Result {
    TcpListener::bind("127.0.0.1:0")?.accept()?;
    Ok(())
}

/// Waits for bytes that never come.
#[chaos(timeout = "1s")]
fn in_read(cx: Context) -> Result {
    let (mut reader, writer) = std::io::pipe()?;
    cx.note("reading");
    reader.read_exact(&mut [0])?;
    drop(writer);
    Ok(())
}

/// Each of two threads waits for a lock that the other thread holds.
#[chaos(timeout = "1s")]
fn in_a_deadlock() -> Result {
    let (left, right) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
    let met = Arc::new(std::sync::Barrier::new(2));
    let other = {
        let (left, right, met) = (Arc::clone(&left), Arc::clone(&right), Arc::clone(&met));
        thread::Builder::new()
            .name("other-side".to_owned())
            .spawn(move || {
                let _right = right.lock();
                met.wait();
                let _left = left.lock();
            })?
    };
    let _left = left.lock();
    met.wait();
    let _right = right.lock();
    let _ = other.join();
    Ok(())
}

/// Waits for a child process that sleeps for 1,000 seconds.
#[chaos(timeout = "1s")]
fn in_a_child() -> Result {
    Command::new("sleep").arg("1000").status()?;
    Ok(())
}

/// A task blocks one of the Tokio runtime's two threads, and the test awaits the task.
#[chaos(timeout = "1s")]
async fn in_a_task() -> Result {
    tokio::spawn(async { thread::sleep(Duration::from_secs(1000)) }).await?;
    Ok(())
}

/// A blocking task sleeps on a thread for blocking tasks, and the test awaits the task.
#[chaos(timeout = "1s")]
async fn in_a_blocking_task() -> Result {
    tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(1000))).await?;
    Ok(())
}
