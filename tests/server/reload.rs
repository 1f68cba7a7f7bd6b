//! When the disk is looked at, what is read again, and what is swapped.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clarity::{Executor, Inline, Job, JobKind, Overloaded, Server};
use serde_json::json;

use crate::support::*;

/// Counts jobs by their kind, for one model.
#[derive(Debug, Default)]
struct Counting {
    scans: AtomicUsize,
    loads: AtomicUsize,
}

impl Executor for Counting {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        match job.kind() {
            JobKind::Scan => self.scans.fetch_add(1, Ordering::SeqCst),
            JobKind::Load => self.loads.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        Inline.execute(job)
    }
}

#[tokio::test]
async fn a_repair_is_noticed_at_the_next_poll() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    // Far from the next attempt, which would notice it too.
    let status = loop {
        let status = watch.current();
        if status.retry_after().unwrap().as_secs() > 20 {
            break status;
        }
        clock
            .run_out(status.retry_after().unwrap().as_secs_f64())
            .await;
        watch.wait_for(|now| now.attempts > status.attempts).await;
    };
    models.flip_bit("1/model.onnx", 0);
    clock.run_out(1.0).await;
    let recovered = watch.wait_for(|now| now.attempts > status.attempts).await;
    assert_eq!(recovered.serving.unwrap().0, version(1));
    assert_eq!(recovered.next_attempt, None, "there is nothing to mend");
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
}

#[tokio::test]
async fn a_bad_version_is_tried_again_for_ever_with_growing_delays() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    for attempt in 0..12 {
        let status = watch.current();
        let full = 2_f64.powi(attempt).min(60.0);
        let delay = status.retry_after().unwrap().as_secs_f64();
        assert!(
            delay > full / 2.0 && delay <= full,
            "attempt {attempt}: {delay}"
        );
        let response = client.get("/v2/models/cole_kripke/ready").await;
        assert_eq!(
            response.retry_after(),
            Some(delay.ceil() as u64),
            "when the next attempt is made"
        );
        clock.run_out(delay).await;
        watch.wait_for(|now| now.attempts > status.attempts).await;
    }
}

#[tokio::test]
async fn a_model_that_appears_later_is_picked_up() {
    let clock = ManualClock::start();
    let models = Models::empty();
    let (server, client) = serve(&models).await;
    assert_eq!(
        client.get("/v2/health/ready").await.status,
        200,
        "a server without models is ready"
    );
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(404, "unknown_model");
    assert!(server.models().reload("cole_kripke").await.is_err());
    models.publish("cole_kripke", COLE_KRIPKE);
    clock.run_out(1.0).await;
    while server.models().names().is_empty() {
        tokio::task::yield_now().await;
    }
    server.models().settled().await;
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );

    models.publish("later", COLE_KRIPKE);
    let status = server.models().reload("later").await.unwrap();
    assert_eq!(
        status.serving.unwrap().0,
        version(1),
        "asked for, there is no need to wait for a poll"
    );
}

#[tokio::test]
async fn a_healthy_model_is_looked_at_and_not_read_again() {
    let clock = ManualClock::start();
    let models = Models::cole_kripke();
    let counting = Arc::new(Counting::default());
    let executor: Arc<dyn Executor> = counting.clone();
    let (server, _client) = start(
        Server::builder(models.root())
            .config(config())
            .shared_executor(executor),
    )
    .await;
    for polls in 1..=100 {
        let before = counting.scans.load(Ordering::SeqCst);
        clock.run_out(1.0).await;
        // The model's own scan, and that of the folder of all models.
        while counting.scans.load(Ordering::SeqCst) < before + 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            counting.loads.load(Ordering::SeqCst),
            1,
            "after {polls} polls"
        );
    }
    assert_eq!(server.models().status("cole_kripke").unwrap().attempts, 1);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        counting.loads.load(Ordering::SeqCst),
        2,
        "asked to, it verifies again"
    );
}

#[tokio::test]
async fn the_same_content_again_is_no_swap_and_other_content_is() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    // Copied over itself: other times and inode, the same bytes.
    let path = models.path("1/model.onnx");
    fs::write(models.path("copy"), COLE_KRIPKE).unwrap();
    fs::rename(models.path("copy"), &path).unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!((status.degraded, status.next_attempt), (None, None));
    // Replaced in place, manifest and all: unusual, and verified, so it is served.
    let bytes = other_model();
    let staged = Models::empty();
    staged.publish("cole_kripke", &bytes);
    fs::remove_dir_all(models.path("1")).unwrap();
    fs::rename(staged.path("1"), models.path("1")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    let answer = client.post(INFER, &minutes(&[1.0; 7])).await.json();
    assert_eq!(answer["outputs"][0]["data"][0], json!(2.0));
}

/// 16 clients ask without a pause while good and bad versions come: each answer is exactly right for its version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_over_good_and_bad_reloads() {
    let models = Models::cole_kripke();
    let bytes = other_model();
    let (server, client) = serve_with(&models, config(), clarity::BlockingPool::default()).await;
    let right: Arc<BTreeMap<bool, serde_json::Value>> = Arc::new({
        let even = client.post(INFER, &minutes(&[1.0; 7])).await.json()["outputs"].clone();
        models.publish("cole_kripke", &bytes);
        server.models().reload("cole_kripke").await.unwrap();
        let odd = client.post(INFER, &minutes(&[1.0; 7])).await.json()["outputs"].clone();
        BTreeMap::from([(true, odd), (false, even)])
    });
    assert_ne!(right[&true], right[&false]);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, right, stopped) = (client.clone(), Arc::clone(&right), stopped.clone());
        clients.spawn(async move {
            let mut answers = 0;
            while !*stopped.borrow() {
                let response = client.post(INFER, &minutes(&[1.0; 7])).await;
                assert_eq!(response.status, 200, "{}", response.body);
                let answer = response.json();
                let version: u64 = answer["model_version"].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    answer["outputs"],
                    right[&(version.is_multiple_of(2))],
                    "version {version}"
                );
                answers += 1;
            }
            answers
        });
    }
    let mut newest_good = 2;
    for round in 0..20 {
        let bytes = if round % 2 == 0 { COLE_KRIPKE } else { &bytes };
        let number = models.publish("cole_kripke", bytes).version().get();
        let is_bad = round % 4 >= 2;
        if is_bad {
            fs::write(models.path(&format!("{number}/model.onnx")), "damaged").unwrap();
        } else {
            newest_good = number;
        }
        let status = server.models().reload("cole_kripke").await.unwrap();
        // A poll may have been faster than the damage; then the version was good when it was read.
        assert!(status.serving.unwrap().0 >= version(newest_good));
    }
    stop.send(true).unwrap();
    let answers: u64 = clients.join_all().await.into_iter().sum();
    assert!(answers >= 16, "{answers}");
}
