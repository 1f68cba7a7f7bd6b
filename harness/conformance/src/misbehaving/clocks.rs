//! Tests of the real, the paused and the manual clock.

use clarity_chaos::{ClockKind, Context, Result, chaos};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);

/// Under a paused clock, a sleep of an hour ends at once.
#[chaos(clock = "paused")]
async fn paused(cx: Context) -> Result {
    let began = Instant::now();
    sleep(HOUR).await;
    assert!(began.elapsed() >= HOUR);
    cx.note("an hour later");
    Ok(())
}

/// A manual clock stands still while a real socket is used, and advances on request.
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

/// Tries to advance a real clock. The call panics.
#[chaos]
async fn real(cx: Context) {
    assert_eq!(cx.clock().kind(), ClockKind::Real);
    cx.clock().advance(HOUR).await;
}

/// A blocking task that never ends does not delay the end of the test.
#[chaos(clock = "manual")]
async fn blocked() {
    tokio::task::spawn_blocking(|| {
        loop {
            std::thread::park();
        }
    });
}

/// Sleeps for an hour of real time under a manual clock.
#[chaos(clock = "manual", timeout = "1s")]
async fn sleeps_for_real() {
    std::thread::sleep(HOUR);
}

/// Waits for a timer under a manual clock that nothing advances.
#[chaos(clock = "manual", timeout = "1s")]
async fn waits_for_a_timer() {
    sleep(HOUR).await;
}

/// Blocks the Tokio runtime's only thread in `accept`, so no other task can connect.
#[chaos(clock = "paused", timeout = "1s")]
async fn accepts_on_the_only_thread() -> Result {
    std::net::TcpListener::bind("127.0.0.1:0")?.accept()?;
    Ok(())
}

/// Waits for a client outside the Tokio runtime. The paused clock jumps to the timeout at once.
#[chaos(clock = "paused")]
async fn has_a_peer_outside() -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    timeout(HOUR, listener.accept()).await??;
    Ok(())
}

/// Sleeps for 150 ms of real time under a manual clock, and then fails.
#[chaos(clock = "manual")]
async fn sleeps_for_a_while() -> Result {
    std::thread::sleep(Duration::from_millis(150));
    Err("as it should".into())
}
