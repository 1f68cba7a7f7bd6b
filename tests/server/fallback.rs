//! Damage, fallback, swap and recovery, under a clock that is driven by hand.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clarity::{Executor, Inline, Job, JobKind, Overloaded, Reason, Server, Version, VersionStatus};
use rten_onnx::onnx::DataType;
use serde_json::json;

use crate::support::onnx::{OPEN, model, node, value};
use crate::support::*;

/// A model of the same inputs and outputs as `cole_kripke` whose answers differ.
fn other_model() -> Vec<u8> {
    let nodes = vec![
        node("Add", &["activity", "activity"], "sleep_index"),
        node("Less", &["activity", "sleep_index"], "asleep"),
    ];
    let tensor = |name, datatype| value(name, datatype, &[OPEN, 7]);
    let outputs = vec![
        tensor("sleep_index", DataType::FLOAT),
        tensor("asleep", DataType::BOOL),
    ];
    model(vec![tensor("activity", DataType::FLOAT)], nodes, outputs)
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn reason_of(status: &clarity::ModelStatus, number: u64) -> Option<Reason> {
    match status.versions.get(&version(number)) {
        Some(VersionStatus::Refused { reason, .. }) => Some(*reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_flipped_bit_is_503_until_it_is_repaired_without_a_restart() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 2000);
    let (server, client) = serve(&models).await;
    for response in [
        client.post(INFER, &short_request()).await,
        client.get("/v2/models/cole_kripke").await,
        client.get("/v2/models/cole_kripke/ready").await,
        client.get("/v2/models/cole_kripke/versions/1/ready").await,
        client.get("/v2/health/ready").await,
    ] {
        response.assert_problem(503, "model_corrupt");
        response.assert_says("version 1: model.onnx: expected SHA-256 837b04d3");
        assert_eq!(response.json()["model"], "cole_kripke");
        assert!(response.retry_after().is_some());
    }
    assert_eq!(client.get("/v2/health/live").await.status, 200);
    models.flip_bit("1/model.onnx", 2000);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
    assert_eq!(client.get("/v2/health/ready").await.status, 200);
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
async fn a_bad_new_version_leaves_the_old_one_answering() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    models.publish("cole_kripke", &other_model());
    models.flip_bit("2/model.onnx", 100);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));

    let answer = client.post(INFER, &short_request()).await.json();
    assert_eq!(answer["model_version"], "1");
    assert_eq!(
        answer["parameters"],
        json!({ "degraded": true, "degraded_reason": "model_corrupt" })
    );
    let right: serde_json::Value = serde_json::from_str(SHORT_ANSWER).unwrap();
    assert_eq!(answer["outputs"], right["outputs"]);
    assert_eq!(
        client.get("/v2/health/ready").await.status,
        200,
        "an older good version is ready"
    );
    assert_eq!(client.get("/v2/models/cole_kripke/ready").await.status, 200);
    let bad = client
        .post("/v2/models/cole_kripke/versions/2/infer", &short_request())
        .await;
    bad.assert_problem(503, "model_corrupt");
    assert!(bad.retry_after().is_some());

    models.flip_bit("2/model.onnx", 100);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        (status.serving.unwrap().0, status.degraded),
        (version(2), None)
    );
    let answer = client.post(INFER, &minutes(&[1.0; 7])).await.json();
    assert_eq!(
        (&answer["model_version"], answer.get("parameters")),
        (&json!("2"), None)
    );
    assert_eq!(
        answer["outputs"][0]["data"],
        json!([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    );
}

#[tokio::test]
async fn at_the_start_the_newest_good_version_is_found() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    for _ in 0..3 {
        models.publish("cole_kripke", COLE_KRIPKE);
    }
    models.flip_bit("4/model.onnx", 0);
    fs::remove_file(models.path("3/manifest.json")).unwrap();
    let (server, _client) = serve(&models).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(
        status.degraded,
        Some(Reason::ModelCorrupt),
        "the reason of the newest"
    );
    assert_eq!(reason_of(&status, 3), Some(Reason::Unverified));
    assert_eq!(status.versions[&version(1)], VersionStatus::Standby);
}

#[tokio::test]
async fn one_bad_model_does_not_keep_the_others_from_answering() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("bad", b"not a model at all");
    fs::create_dir(models.root().join("empty")).unwrap();
    let (_server, client) = serve(&models).await;
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
    let bad = client.get("/v2/models/bad/ready").await;
    bad.assert_problem(503, "model_incompatible");
    bad.assert_says("version 1: the runtime cannot load the model");
    client
        .get("/v2/models/empty/ready")
        .await
        .assert_problem(503, "model_missing");
    client
        .get("/v2/health/ready")
        .await
        .assert_problem(503, "model_incompatible");
}

#[tokio::test]
async fn what_answers_lives_in_memory_when_its_files_rot_or_vanish() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.publish("cole_kripke", COLE_KRIPKE);
    let (server, client) = serve(&models).await;
    let right = client.post(INFER, &short_request()).await.json();
    type Damage = fn(&Models);
    let damages: [(Damage, Reason); 4] = [
        (
            |models| models.flip_bit("2/model.onnx", 9),
            Reason::ModelCorrupt,
        ),
        (
            |models| fs::remove_file(models.path("2/model.onnx")).unwrap(),
            Reason::ModelMissing,
        ),
        (
            |models| fs::remove_dir_all(models.path("2")).unwrap(),
            Reason::ModelMissing,
        ),
        (
            |models| fs::remove_dir_all(models.path("")).unwrap(),
            Reason::ModelMissing,
        ),
    ];
    for (damage, reason) in damages {
        damage(&models);
        let status = server.models().reload("cole_kripke").await.unwrap();
        assert_eq!(
            status.serving.unwrap().0,
            version(2),
            "not the older version: memory has a better one"
        );
        assert_eq!(status.degraded, Some(reason));
        assert!(status.next_attempt.is_some());
        let answer = client.post(INFER, &short_request()).await.json();
        assert_eq!(answer["outputs"], right["outputs"]);
        assert_eq!(answer["parameters"]["degraded_reason"], reason.as_str());
    }
    assert_eq!(client.get("/v2/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_model_whose_folder_vanished_before_it_was_good_stays_known() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    models.flip_bit("1/model.onnx", 0);
    let (server, client) = serve(&models).await;
    fs::remove_dir_all(models.path("")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    client
        .post(INFER, &short_request())
        .await
        .assert_problem(503, "model_missing");
    models.publish("cole_kripke", COLE_KRIPKE);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(
        client.post(INFER, &short_request()).await.body,
        SHORT_ANSWER
    );
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

/// Each row: a verified model that must not be served, and what is said about it.
#[tokio::test]
async fn a_verified_model_that_cannot_answer_is_not_swapped_in() {
    let _clock = ManualClock::start();
    let tensor = |name, shape: &[i64]| value(name, DataType::FLOAT, shape);
    let one = |operator, shape: &[i64]| {
        model(
            vec![tensor("x", shape)],
            vec![node(operator, &["x"], "y")],
            vec![tensor("y", shape)],
        )
    };
    let cases = [
        (
            "nan",
            model(
                vec![tensor("x", &[2])],
                vec![node("Log", &["x"], "z"), node("Log", &["z"], "y")],
                vec![tensor("y", &[2])],
            ),
            "the warm-up failed",
        ),
        (
            "rank",
            model(
                vec![tensor("x", &[2])],
                vec![node("Identity", &["x"], "y")],
                vec![tensor("y", &[2, 1])],
            ),
            "expected 2 dimensions, found 1 dimensions",
        ),
        (
            "operator",
            one("NoSuchOperator", &[2]),
            "the runtime cannot load the model",
        ),
        (
            "no_output",
            model(vec![tensor("x", &[2])], vec![], vec![]),
            "the model has no outputs",
        ),
        (
            "double",
            model(
                vec![value("x", DataType::DOUBLE, &[2])],
                vec![node("Identity", &["x"], "y")],
                vec![value("y", DataType::DOUBLE, &[2])],
            ),
            "expected the datatype FLOAT, INT32",
        ),
        (
            "huge",
            one("Identity", &[1 << 40]),
            "expected at most 67108864 elements",
        ),
        (
            "uncountable",
            one("Identity", &[1 << 40, 1 << 40]),
            "expected at most 67108864 elements",
        ),
    ];
    let models = Models::cole_kripke();
    let (server, client) = serve(&models).await;
    for (name, bytes, says) in cases {
        let number = models.publish("cole_kripke", &bytes).version().get();
        let status = server.models().reload("cole_kripke").await.unwrap();
        assert_eq!(status.serving.unwrap().0, version(1), "{name}");
        match &status.versions[&version(number)] {
            VersionStatus::Refused {
                reason: Reason::ModelIncompatible,
                detail,
            } => assert!(detail.contains(says), "{name}: {detail}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let answer = client.post(INFER, &short_request()).await.json();
    assert_eq!(answer["outputs"][0]["data"][0], json!(1.84));
}

#[tokio::test]
async fn a_warm_up_finds_a_size_that_the_model_takes() {
    let _clock = ManualClock::start();
    // Takes 16 elements and no other number.
    let constant = |name: &str, value: i64| {
        let tensor = rten_onnx::onnx::TensorProto {
            dims: vec![1],
            data_type: Some(DataType::INT64),
            int64_data: vec![value],
            name: Some(name.to_owned()),
            ..Default::default()
        };
        rten_onnx::onnx::NodeProto {
            op_type: Some("Constant".to_owned()),
            output: vec![name.to_owned()],
            attribute: vec![rten_onnx::onnx::AttributeProto {
                name: Some("value".to_owned()),
                t: Some(tensor),
                r#type: Some(rten_onnx::onnx::AttributeType::TENSOR),
                ..Default::default()
            }],
            ..Default::default()
        }
    };
    let reshape = vec![constant("shape", 16), node("Reshape", &["x", "shape"], "y")];
    let tensor = |name, shape: &[i64]| value(name, DataType::FLOAT, shape);
    let models = Models::empty();
    models.publish(
        "sixteen",
        &model(
            vec![tensor("x", &[1, OPEN])],
            reshape,
            vec![tensor("y", &[16])],
        ),
    );
    let (server, _client) = serve(&models).await;
    let status = server.models().status("sixteen").unwrap();
    assert!(status.serving.is_some(), "{status:?}");
}

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
