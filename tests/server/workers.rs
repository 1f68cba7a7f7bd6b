//! Workers: models in processes of their own. A worker that dies costs its own requests only.

use std::cell::Cell;
use std::fs;
use std::process::{Command, Stdio};

use clarity_testbed::*;

use crate::CLARITY;

/// One thread, so that the requests of a test run one after the other.
const ON: [&str; 4] = ["--workers", "on", "--threads", "1"];

/// The process IDs of the workers of a server.
fn workers(serving: &ServerProcess) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", serving.child.id())).unwrap();
    let mut found = Vec::new();
    for task in tasks {
        let children = fs::read_to_string(task.unwrap().path().join("children"));
        let children = children.unwrap_or_default();
        for child in children.split_whitespace() {
            let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if command.split(|byte| *byte == 0).nth(1) == Some(b"worker") {
                found.push(child.parse().unwrap());
            }
        }
    }
    found
}

/// Sends a signal to the only worker, and waits until another one is there.
// Rust's handler of SIGSEGV and SIGBUS ignores the first signal that no access to memory caused.
async fn replace_worker(serving: &ServerProcess, signal: &str) {
    let [worker] = workers(serving)[..] else {
        panic!("one worker");
    };
    until("another worker", || {
        let now = workers(serving);
        if now.contains(&worker) {
            // An error means that the worker has just ended.
            let kill = Command::new("kill")
                .args([signal, &worker.to_string()])
                .stderr(Stdio::null())
                .status();
            kill.unwrap();
        }
        now.len() == 1 && now[0] != worker
    })
    .await;
}

async fn breaker_is_closed(serving: &ServerProcess) -> bool {
    let series = r#"circuit_breaker_state{model="cole_kripke",state="closed"}"#;
    serving.client.metric(series).await.unwrap() == 1.0
}

#[tokio::test]
async fn killed_worker_is_replaced_and_the_model_answers() {
    let models = Repository::temporary_with_model();
    let serving = ServerProcess::start(CLARITY, models.root(), &ON);
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    // More deaths than failures in a row that open the breaker.
    for signal in ["-KILL", "-SEGV", "-ABRT", "-KILL", "-TERM", "-BUS", "-SEGV"] {
        replace_worker(&serving, signal).await;
        let answer = serving.client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER, "{signal}");
    }
    assert!(breaker_is_closed(&serving).await);
}

#[tokio::test]
async fn worker_dying_under_requests_costs_only_the_running_ones() {
    let models = Repository::temporary_with_model();
    let serving = ServerProcess::start(CLARITY, models.root(), &ON);
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    let (answered, died) = (Cell::new(0), Cell::new(0));
    let kills = async {
        // A fault of the worker itself would count against the running request.
        for signal in ["-KILL", "-TERM", "-KILL"].into_iter().cycle().take(9) {
            let before = answered.get();
            until("answers", || answered.get() > before + 2).await;
            replace_worker(&serving, signal).await;
        }
    };
    let load = async {
        loop {
            let answer = serving.client.post(INFER, &short_request()).await.unwrap();
            if answer.status == 200 {
                answered.set(answered.get() + 1);
                continue;
            }
            answer.assert_problem(503, "worker_died");
            assert_eq!(answer.retry_after(), Some(1));
            died.set(died.get() + 1);
        }
    };
    tokio::select! {
        () = within("the kills", kills) => {}
        () = load => {}
    }
    assert!(died.get() <= 9, "{} requests for 9 deaths", died.get());
    assert!(breaker_is_closed(&serving).await);
    let answer = serving.client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
}

#[tokio::test]
async fn worker_ends_with_its_server() {
    let models = Repository::temporary_with_model();
    let mut serving = ServerProcess::start(CLARITY, models.root(), &ON);
    serving.until_status(200).await;
    let [worker] = workers(&serving)[..] else {
        panic!("one worker");
    };
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let status = format!("/proc/{worker}/status");
    until("the end of the worker", || {
        match fs::read_to_string(&status) {
            Ok(status) => status.contains("State:\tZ"),
            Err(_) => true,
        }
    })
    .await;
}

#[tokio::test]
async fn worker_is_locked_down_before_it_serves() {
    let models = Repository::temporary_with_model();
    let serving = ServerProcess::start(CLARITY, models.root(), &ON);
    serving.until_status(200).await;
    let [worker] = workers(&serving)[..] else {
        panic!("one worker");
    };
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
}

/// Hostile models that pass no vetting end their worker, or get no answer; the server stays.
#[tokio::test]
async fn hostile_models_are_contained_by_their_workers() {
    let models = Repository::temporary_with_model();
    models.publish("memory_at_load", hostile::MEMORY_AT_LOAD);
    models.publish("memory_at_inference", hostile::MEMORY_AT_INFERENCE);
    models.publish("overflow_at_load", hostile::OVERFLOW_AT_LOAD);
    models.publish("stack_at_load", hostile::STACK_AT_LOAD);
    let flags = [
        "--workers",
        "on",
        "--threads",
        "1",
        "--vetting",
        "in-process",
    ];
    let serving = ServerProcess::start(CLARITY, models.root(), &flags);
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    for name in [
        "memory_at_load",
        "memory_at_inference",
        "overflow_at_load",
        "stack_at_load",
    ] {
        let path = format!("/v2/models/{name}/ready");
        until_some("the end of the load", async || {
            let response = serving.client.get(&path).await.unwrap();
            (response.status == 200 || response.json()["reason"] != "model_loading").then_some(())
        })
        .await;
    }
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
}
