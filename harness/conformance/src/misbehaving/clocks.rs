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
