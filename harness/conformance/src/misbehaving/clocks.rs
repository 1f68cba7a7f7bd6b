//! The three clocks.

use clarity_chaos::{ClockKind, Context, Result, chaos};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);

/// An hour passes in no time.
#[chaos(clock = "paused")]
async fn paused(cx: Context) -> Result {
    let began = Instant::now();
    sleep(HOUR).await;
    assert!(began.elapsed() >= HOUR);
    cx.note("an hour later");
    Ok(())
}

/// The clock stands still while a real socket is used, and moves when it is told to.
#[chaos(clock = "manual")]
async fn manual(cx: Context) -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let peer = std::thread::spawn(move || std::net::TcpStream::connect(address));
    timeout(HOUR, listener.accept()).await??;
    peer.join().map_err(|_| "the peer panicked")??;
    assert_eq!(cx.clock().virtual_now(), Some(Duration::ZERO));
    cx.clock().advance(HOUR).await;
    assert_eq!(cx.clock().virtual_now(), Some(HOUR));
    Ok(())
}

/// Real time cannot be moved.
#[chaos]
async fn real(cx: Context) {
    assert_eq!(cx.clock().kind(), ClockKind::Real);
    cx.clock().advance(HOUR).await;
}

/// A blocking task that never ends does not keep the test from ending.
#[chaos(clock = "manual")]
async fn blocked() {
    tokio::task::spawn_blocking(|| {
        loop {
            std::thread::park();
        }
    });
}

/// Sleeps by the system's clock under a virtual one.
#[chaos(clock = "manual", timeout = "300ms")]
async fn sleeps_for_real() {
    std::thread::sleep(HOUR);
}

/// Waits for a timer that nobody fires.
#[chaos(clock = "manual", timeout = "300ms")]
async fn waits_for_a_timer() {
    sleep(HOUR).await;
}

/// Waits on the one thread for a client that is to come from another task.
#[chaos(clock = "paused", timeout = "300ms")]
async fn accepts_on_the_only_thread() -> Result {
    std::net::TcpListener::bind("127.0.0.1:0")?.accept()?;
    Ok(())
}

/// A slow peer, which a paused clock takes for one that does not come at all.
#[chaos(clock = "paused")]
async fn has_a_peer_outside() -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    timeout(HOUR, listener.accept()).await??;
    Ok(())
}

/// Sleeps by the system's clock under a virtual one, for a while, and then fails.
#[chaos(clock = "manual")]
async fn sleeps_for_a_while() -> Result {
    std::thread::sleep(Duration::from_millis(150));
    Err("as it should".into())
}
