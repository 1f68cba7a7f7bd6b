//! The memory of request heads, finished or not.

use std::fs;

use clarity_testbed::*;

use crate::CLARITY;

/// The number of clients.
const CLIENTS: usize = 300;
/// The allowed growth of the server's memory, in bytes. 300 heads of 390 KB would be 112 MiB.
const MOST_GROWTH: usize = 48 << 20;

/// The resident memory of a process, in bytes.
fn resident(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

/// Sends a head of `length` bytes on each of many connections, without its end. Then sends the end,
/// and returns the statuses and the greatest growth of the server's memory.
async fn send_heads(length: usize) -> (Vec<u16>, usize) {
    let models = Repository::temporary_with_model();
    let server = ServerProcess::start(CLARITY, models.root(), &[]);
    server.until_status(200).await;
    let process = server.child.id();
    let before = resident(process);
    let start = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\nx: ";
    let head = format!("{start}{}", "x".repeat(length - start.len() - 4));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = Connection::open(server.client.server()).await;
        let mut client = client.unwrap();
        // An error means that the server has refused the head already.
        let _ = client.send(&head).await;
        clients.push(client);
    }
    let mut most = resident(process);
    let mut statuses = Vec::new();
    for client in &mut clients {
        let _ = client.send("\r\n\r\n").await;
        statuses.push(client.read_status().await.unwrap());
        most = most.max(resident(process));
    }
    (statuses, most.saturating_sub(before))
}

#[tokio::test]
async fn heads_over_the_limit_are_431_and_take_no_memory() {
    let (statuses, growth) = send_heads(390_000).await;
    assert_eq!(statuses, [431; CLIENTS]);
    assert!(growth < MOST_GROWTH, "{growth} bytes");
}

#[tokio::test]
async fn heads_up_to_the_limit_are_answered_in_bounded_memory() {
    let (statuses, growth) = send_heads(31 << 10).await;
    assert_eq!(statuses, [200; CLIENTS]);
    assert!(growth < MOST_GROWTH, "{growth} bytes");
}

/// The limit on memory includes the heads of all connections.
#[test]
fn memory_limit_without_room_for_heads_is_refused() {
    let models = Repository::temporary();
    let mut serve = command(CLARITY);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--models"]);
    serve.arg(models.root());
    serve.args(["--connections", "10000", "--memory-limit", "268435456"]);
    let failed = serve.output().unwrap();
    let stderr = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    let says = "memory_limit: expected no less than body_limit and 32 KiB for each connection, \
                found 268435456 bytes, of 346554368 for 10000 connections";
    assert!(stderr.contains(says), "{stderr}");
}
