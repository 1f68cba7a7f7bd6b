//! Versions that are arriving: their status, the work that they cause, and what ends that state.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clarity::{Executor, Inline, Job, JobKind, Overloaded, Reason, VersionStatus};
use clarity_testbed::*;
use serde_json::json;

use crate::uploads::{Scene, request, settling};

#[tokio::test]
async fn model_that_is_only_arriving_is_unavailable_for_that_reason() {
    let scene = Scene::serving(Repository::temporary(), settling(), Inline).await;
    fs::create_dir_all(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    fs::write(scene.target("model.onnx"), "begun").unwrap();
    scene.pass(2.0).await;
    scene.server.models().settled().await;
    let answer = scene.client.post(INFER, &request()).await.unwrap();
    answer.assert_problem(503, "model_arriving");
    let retry_after = answer.retry_after().unwrap();
    assert!(
        (1..=25).contains(&retry_after),
        "{retry_after}, not the time of the next look"
    );
    let size = scene.bytes("model.onnx").len();
    let sentence = format!("model.onnx: expected {size} bytes, found 5");
    let expected = format!("version 2 is still arriving: {sentence}");
    assert_eq!(answer.member("detail").unwrap(), expected.as_str());
    let named = "/v2/models/cole_kripke/versions/2/infer";
    let named = scene.client.post(named, &request()).await.unwrap();
    named.assert_problem(503, "model_arriving");
    let index = scene.client.post("/v2/repository/index", &json!({})).await;
    let index = index.unwrap().json();
    assert_eq!(index[0]["state"], "LOADING", "{index}");
    assert_eq!(index[0]["reason"], format!("still arriving: {sentence}"));

    let store = scene.models.root().to_str().unwrap();
    for arguments in [
        &["list", "--models", store][..],
        &["list", "--json", "--models", store],
        &["info", MODEL, "--models", store],
        &["info", MODEL, "--json", "--models", store],
    ] {
        // Repeats the command after another change: on a busy machine, a change can be older than
        // 10 s when the command sees it.
        let output = until_some("the arriving version", async || {
            fs::write(scene.target("model.onnx"), "begun").unwrap();
            let output = command(crate::CLARITY).args(arguments).output().unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            output.contains("model_arriving").then_some(output)
        })
        .await;
        assert!(output.contains(&sentence), "{arguments:?}: {output}");
    }
    fs::write(scene.target("model.onnx"), scene.bytes("model.onnx")).unwrap();
    scene.assert_served().await;
}

/// Runs jobs inline, and counts the loads.
#[derive(Clone, Debug, Default)]
struct LoadCounter(Arc<AtomicUsize>);

impl Executor for LoadCounter {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        if job.kind() == JobKind::Load {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Inline.execute(job)
    }
}

/// Some programs allocate a file before they write it. So its size is right from the start.
#[tokio::test]
async fn preallocated_file_is_not_read_while_it_changes() {
    let loads = LoadCounter::default();
    let models = Repository::temporary_with_model();
    let scene = Scene::serving(models, settling(), loads.clone()).await;
    let count = || loads.0.load(Ordering::SeqCst);
    let before = count();
    let bytes = scene.bytes("model.onnx");
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    for written in 0..60 {
        let mut content = bytes[..bytes.len() * written / 60].to_vec();
        content.resize(bytes.len(), 0);
        // A name changes each time, so each look sees a change even if the file system's clock is
        // coarse.
        fs::write(scene.models.path("part"), content).unwrap();
        let _ = fs::remove_file(scene.target(&format!("model.onnx.{written}")));
        fs::write(scene.target(&format!("model.onnx.{}", written + 1)), "").unwrap();
        fs::rename(scene.models.path("part"), scene.target("model.onnx")).unwrap();
        scene.pass(0.25).await;
        assert!(count() <= before + 1, "after {written} changes");
        assert_eq!(scene.alarms(), 0.0);
    }
    fs::remove_file(scene.target("model.onnx.60")).unwrap();
    fs::write(scene.target("model.onnx"), &bytes).unwrap();
    scene.assert_served().await;
    assert!(count() <= before + 2, "{} loads", count() - before);
}

#[tokio::test]
async fn wrong_bytes_that_rest_are_bad_after_the_settle_time() {
    let loads = LoadCounter::default();
    let models = Repository::temporary_with_model();
    let scene = Scene::serving(models, settling(), loads.clone()).await;
    let mut bytes = scene.bytes("model.onnx");
    bytes[7] ^= 1;
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    fs::write(scene.target("model.onnx"), bytes).unwrap();
    scene.pass(9.0).await;
    scene.assert_quiet();
    assert!(scene.arriving().contains("expected SHA-256"));
    let read = loads.0.load(Ordering::SeqCst);
    assert_eq!(read, 2, "version 1, and version 2 once");
    scene.pass(2.5).await;
    let status = scene.status();
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));
    assert_eq!(loads.0.load(Ordering::SeqCst), 3);
}

/// A file that is not part of the version grows all the time. It must not hide the damage.
#[tokio::test]
async fn file_of_a_stranger_does_not_keep_a_version_arriving() {
    let scene = Scene::start().await;
    let mut bytes = scene.bytes("model.onnx");
    bytes[7] ^= 1;
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    fs::write(scene.target("model.onnx"), bytes).unwrap();
    for seconds in 0..13 {
        fs::write(scene.target("notes.log"), "x".repeat(seconds)).unwrap();
        scene.pass(1.0).await;
    }
    let status = scene.status();
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));
}

#[tokio::test]
async fn change_before_the_settle_time_is_bad_at_first_sight() {
    let mut config = settling();
    config.reload.settle = Duration::from_nanos(1);
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 0);
    // One clock tick of the file system, so that the change is older than the settle time.
    let changed = fs::metadata(models.path("1/model.onnx")).unwrap();
    until("a later time", || {
        changed
            .modified()
            .unwrap()
            .elapsed()
            .is_ok_and(|age| age > Duration::from_millis(20))
    })
    .await;
    let scene = Scene::serving(models, config, Inline).await;
    assert_eq!(reason_of(&scene.status(), 1), Some(Reason::ModelCorrupt));
}

#[tokio::test]
async fn whole_manifest_that_is_wrong_is_bad_at_once() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    let foreign = fs::read(scene.source.path("1/manifest.json")).unwrap();
    fs::write(scene.target("manifest.json"), foreign).unwrap();
    scene.pass(1.0).await;
    let status = scene.status();
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));
}

#[tokio::test]
async fn unverified_version_is_served_once_it_has_settled() {
    let mut config = settling();
    config.reload.allow_unverified = true;
    let models = Repository::temporary_with_model();
    let scene = Scene::serving(models, config, Inline).await;
    fs::create_dir(scene.target("")).unwrap();
    scene
        .write_slowly("model.onnx", &scene.bytes("model.onnx"))
        .await;
    scene.pass(9.0).await;
    scene.assert_quiet();
    assert_eq!(scene.arriving(), "no manifest.json yet");
    scene.pass(2.0).await;
    assert_eq!(scene.status().serving.unwrap().0, version(2));
}

#[tokio::test]
async fn arriving_version_can_be_withdrawn_and_removed() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    scene.pass(1.0).await;
    scene.assert_quiet();
    let model = MODEL.parse().unwrap();
    let store = &scene.models.store;
    store.quarantine(&model, version(2), "not yet").unwrap();
    scene.pass(2.0).await;
    let status = scene.status();
    assert!(
        matches!(
            status.versions[&version(2)],
            VersionStatus::Withdrawn { .. }
        ),
        "{status:?}"
    );
    assert_eq!(scene.metric("model_versions_arriving"), 0.0);
    store.release(&model, version(2)).unwrap();
    scene.pass(1.0).await;
    scene.assert_quiet();
    fs::remove_dir(scene.target("")).unwrap();
    scene.pass(1.0).await;
    assert!(!scene.status().versions.contains_key(&version(2)));
    assert_eq!(scene.metric("model_versions_arriving"), 0.0);
    assert_eq!((scene.alarms(), scene.errors()), (0.0, 0));
}
