//! Reloads: scans of the disk, loads and swaps of versions.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clarity::{
    Executor, Inline, Job, JobKind, Overloaded, RtenRuntime, RunError, Runtime, RuntimeError,
    Server, Session, Tensor, TensorSpec, VerifiedVersion,
};
use clarity_testbed::*;
use serde_json::json;

/// Counts the scans and the loads, and runs every job inline.
#[derive(Debug, Default)]
struct JobCounter {
    scans: AtomicUsize,
    loads: AtomicUsize,
}

impl Executor for JobCounter {
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
async fn repair_is_noticed_at_the_next_poll() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    // Waits until the next attempt is far away, since that attempt would notice the repair too. The
    // delays grow to a minute.
    let mut status = watch.current();
    for _ in 0..20 {
        let delay = status.retry_after().unwrap();
        if delay.as_secs() > 20 {
            break;
        }
        clock.run_out(delay.as_secs_f64()).await;
        let attempts = status.attempts;
        let next = watch.wait_for(|now| now.attempts > attempts);
        status = within("the next attempt", next).await;
    }
    assert!(status.retry_after().unwrap().as_secs() > 20, "{status:?}");
    models.flip_bit("1/model.onnx", 0);
    clock.run_out(1.0).await;
    let recovered = within(
        "a status",
        watch.wait_for(|now| now.attempts > status.attempts),
    )
    .await;
    assert_eq!(recovered.serving.unwrap().0, version(1));
    assert_eq!(
        recovered.next_attempt, None,
        "a good model has a next attempt"
    );
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );
}

#[tokio::test]
async fn bad_version_is_retried_with_growing_delays() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
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
        let response = client.get("/v2/models/cole_kripke/ready").await.unwrap();
        assert_eq!(
            response.retry_after(),
            Some(delay.ceil() as u64),
            "not the time of the next attempt"
        );
        clock.run_out(delay).await;
        within(
            "a status",
            watch.wait_for(|now| now.attempts > status.attempts),
        )
        .await;
    }
}

#[tokio::test]
async fn model_that_appears_later_is_served() {
    let clock = ManualClock::start();
    let models = Repository::temporary();
    let (server, client) = serve(&models).await;
    let ready = client.get("/v2/health/ready").await.unwrap();
    ready.assert_problem(503, "no_models");
    client
        .post(INFER, &short_request())
        .await
        .unwrap()
        .assert_problem(404, "unknown_model");
    assert!(server.models().reload("cole_kripke").await.is_err());
    models.publish("cole_kripke", MODEL_BYTES);
    clock.run_out(1.0).await;
    until("the discovery of the model", || {
        !server.models().names().is_empty()
    })
    .await;
    server.models().settled().await;
    assert_eq!(
        client.post(INFER, &short_request()).await.unwrap().body,
        SHORT_ANSWER
    );

    models.publish("later", MODEL_BYTES);
    let status = server.models().reload("later").await.unwrap();
    assert_eq!(
        status.serving.unwrap().0,
        version(1),
        "a requested reload waits for a poll"
    );
}

#[tokio::test]
async fn healthy_model_is_scanned_and_not_loaded_again() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let counting = Arc::new(JobCounter::default());
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
        // One scan of the model, and one of the directory of all models.
        until("two scans", || {
            counting.scans.load(Ordering::SeqCst) >= before + 2
        })
        .await;
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
        "a requested reload does not verify"
    );
}

/// Numbers its sessions from 1, and records the number of the last one that ran.
#[derive(Debug, Default)]
struct NumberingRuntime {
    inner: RtenRuntime,
    sessions: AtomicUsize,
    last_run: Arc<AtomicUsize>,
}

struct NumberedSession {
    inner: Box<dyn Session>,
    number: usize,
    last_run: Arc<AtomicUsize>,
}

impl Runtime for NumberingRuntime {
    fn load(&self, version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
        Ok(Box::new(NumberedSession {
            inner: self.inner.load(version)?,
            number: self.sessions.fetch_add(1, Ordering::SeqCst) + 1,
            last_run: Arc::clone(&self.last_run),
        }))
    }
}

impl Session for NumberedSession {
    fn inputs(&self) -> &[TensorSpec] {
        self.inner.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.inner.outputs()
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        self.last_run.store(self.number, Ordering::SeqCst);
        self.inner.run(inputs)
    }
}

#[tokio::test]
async fn other_content_is_swapped_in_and_the_same_is_not() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let runtime = NumberingRuntime::default();
    let last_run = Arc::clone(&runtime.last_run);
    let builder = Server::builder(models.root()).config(config());
    let (server, client) = start(builder.runtime(runtime).executor(Inline)).await;
    // The number of the session that answers, and the first number in its answer.
    let answering = async || {
        let request = cole_kripke::request(&[1.0; 7]);
        let answer = client.post(INFER, &request).await.unwrap().json();
        let first = answer["outputs"][0]["data"][0].clone();
        (last_run.load(Ordering::SeqCst), first)
    };
    let (session, first) = answering().await;
    assert_eq!(session, 1);
    // Writes the same bytes with another inode and other times.
    let path = models.path("1/model.onnx");
    fs::write(models.path("copy"), MODEL_BYTES).unwrap();
    fs::rename(models.path("copy"), &path).unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!((status.degraded, status.next_attempt), (None, None));
    let loaded = last_run.load(Ordering::SeqCst);
    assert_eq!(loaded, 2, "the reload did not warm up a second session");
    assert_eq!(
        answering().await,
        (1, first),
        "the same content was swapped in"
    );
    // Another version with the same number and its own manifest: it verifies, so it is served.
    let bytes = other_model();
    let staged = Repository::temporary();
    staged.publish("cole_kripke", &bytes);
    fs::remove_dir_all(models.path("1")).unwrap();
    fs::rename(staged.path("1"), models.path("1")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(answering().await, (3, json!(2.0)));
}

/// Sixteen clients send requests without a pause. Each answer must be exactly right for its
/// version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_over_good_and_bad_reloads() {
    let models = Repository::temporary_with_model();
    let bytes = other_model();
    let (server, client) = serve_with(&models, config(), clarity::BlockingPool::default()).await;
    let right: Arc<BTreeMap<bool, serde_json::Value>> = Arc::new({
        let even = client
            .post(INFER, &cole_kripke::request(&[1.0; 7]))
            .await
            .unwrap()
            .json()["outputs"]
            .clone();
        models.publish("cole_kripke", &bytes);
        server.models().reload("cole_kripke").await.unwrap();
        let odd = client
            .post(INFER, &cole_kripke::request(&[1.0; 7]))
            .await
            .unwrap()
            .json()["outputs"]
            .clone();
        BTreeMap::from([(true, odd), (false, even)])
    });
    assert_ne!(right[&true], right[&false]);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let answers: Arc<[AtomicUsize; 16]> = Arc::default();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..answers.len() {
        let (client, right, stopped) = (client.clone(), Arc::clone(&right), stopped.clone());
        let answers = Arc::clone(&answers);
        clients.spawn(async move {
            while !*stopped.borrow() {
                let response = client
                    .post(INFER, &cole_kripke::request(&[1.0; 7]))
                    .await
                    .unwrap();
                assert_eq!(response.status, 200, "{}", response.body);
                let answer = response.json();
                let version: u64 = answer["model_version"].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    answer["outputs"],
                    right[&(version.is_multiple_of(2))],
                    "version {version}"
                );
                answers[number].fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut newest_good = 2;
    for round in 0..20 {
        let bytes = if round % 2 == 0 { MODEL_BYTES } else { &bytes };
        let number = models.publish("cole_kripke", bytes);
        let is_bad = round % 4 >= 2;
        if is_bad {
            fs::write(models.path(&format!("{number}/model.onnx")), "damaged").unwrap();
        } else {
            newest_good = number;
        }
        let status = server.models().reload("cole_kripke").await.unwrap();
        // A poll may have loaded the version before the version was damaged.
        assert!(status.serving.unwrap().0 >= version(newest_good));
    }
    // Each client gets an answer after the last swap too.
    let before = answers.each_ref().map(|count| count.load(Ordering::SeqCst));
    until("an answer for each client", || {
        let mut counts = answers.iter().zip(before);
        counts.all(|(count, before)| count.load(Ordering::SeqCst) > before)
            || clients.try_join_next().is_some()
    })
    .await;
    stop.send(true).unwrap();
    clients.join_all().await;
}
