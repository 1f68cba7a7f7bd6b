//! Compressed bodies that are far larger than they look. They must be refused within the memory
//! limit, while other clients get right answers.

use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{
    Client, MODEL, Repository, cole_kripke, command, listening_address, until_some,
};
use flate2::{Compress, Compression, FlushCompress};
use hyper::Method;
use hyper::body::Bytes;
use std::time::Duration;
use tokio::task::block_in_place;

/// The limit of each wait for the server process.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;
/// The memory limit of the server for all requests, in bytes.
const MEMORY_LIMIT: usize = 16 * MIB;
/// The size of a bomb after decompression, in MiB.
const BOMB_MIB: usize = 512;

/// A gzip body of spaces, which a JSON parser skips. Its end is missing, because the server must
/// refuse the body long before its end.
fn bomb() -> Result<Bytes> {
    let mut deflate = Compress::new(Compression::best(), false);
    let mut block = Vec::with_capacity(64 << 10);
    deflate.compress_vec(&[b' '; MIB], &mut block, FlushCompress::Sync)?;
    // After a synchronisation point, the same block can follow again.
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    Ok([&header[..], &block.repeat(BOMB_MIB)].concat().into())
}

/// The peak resident memory of a process, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no peak")?.parse::<usize>()? << 10)
}

/// Many clients send bombs at the same time. Each must be refused, with 413 or as overload. Every
/// answer to another client must be right, and the server's memory must stay near its limit.
#[cfg(target_os = "linux")]
#[chaos(network, non_destructive, timeout = "120s")]
async fn compressed_bombs_are_refused_within_the_memory_limit(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let activity = cole_kripke::activity(200, &mut cx.rng());
    let mut serve = command(env!("CARGO_BIN_EXE_clarity"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--body-limit"])
        .arg((4 * MIB).to_string())
        .arg("--memory-limit")
        .arg(MEMORY_LIMIT.to_string())
        // Heads of connections take a part of the memory limit.
        .args(["--connections", "64"])
        .arg("--models")
        .arg(repository.root())
        .current_dir(repository.root());
    let process = cx.spawn("server", &mut serve)?;
    let line = block_in_place(|| process.wait_for_line("listening on http://", PATIENCE))?;
    let client = Client::marking(&cx, listening_address(&line)?);
    until_some("an answer of the model", async || {
        let answer = client.infer(MODEL, &activity).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    let before = peak_memory(process.id())?;

    let bomb = bomb()?;
    let path = format!("/v2/models/{MODEL}/infer");
    let bombs: Vec<_> = (0..32)
        .map(|_| {
            let (client, path, bomb) = (client.clone(), path.clone(), bomb.clone());
            tokio::spawn(async move {
                let headers = [("content-encoding", "gzip")];
                client.send(Method::POST, &path, &headers, bomb).await
            })
        })
        .collect();
    for _ in 0..20 {
        let answer = client.infer(MODEL, &activity).await?;
        match answer.status.as_u16() {
            200 => cole_kripke::assert_right(&answer, &activity, 1.0)?,
            _ => answer.assert_problem(503, "overloaded"),
        }
    }
    let mut refused = 0;
    for bomb in bombs {
        let answer = bomb.await??;
        match answer.status.as_u16() {
            413 => refused += 1,
            _ => answer.assert_problem(503, "overloaded"),
        }
    }
    let grown = peak_memory(process.id())? - before;
    cx.measured(format!("{refused} of 32 got 413; {grown} bytes more"));
    assert!(refused > 0, "no bomb reached the limit of the body");
    // The threads of the server and the allocator's caches need memory, too.
    assert!(
        grown < MEMORY_LIMIT + 48 * MIB,
        "the memory grew by {grown} bytes"
    );
    let answer = client.infer(MODEL, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)
}
