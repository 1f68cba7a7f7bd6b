//! Uploads: versions that are copied into the store while the server polls it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clarity::{Config, Executor, Inline, ModelStatus, Reason, Server, VersionStatus};
use clarity_testbed::*;
use tracing::Level;

use crate::logs::Capture;

/// The poll interval in seconds. The settle time is ten times as long, as by default.
// Long times in virtual time: a test on a busy machine must not take a settle time in real time.
const POLL: f64 = 100.0;

/// A configuration in which versions settle, and retries are never due during a test.
pub(crate) fn settling() -> Config {
    let mut config = config();
    config.reload.poll = Duration::from_secs_f64(POLL);
    config.reload.settle = Duration::from_secs_f64(10.0 * POLL);
    config.idle = Duration::from_secs(1_000_000);
    config.reload.backoff_least = Duration::from_secs(100_000);
    config.reload.backoff_most = Duration::from_secs(100_000);
    config
}

/// A request that both versions can answer.
pub(crate) fn request() -> serde_json::Value {
    cole_kripke::request(&[1.0; 7])
}

/// A server with virtual time, and version 2 of its model in a directory that it does not serve.
pub(crate) struct Scene {
    clock: ManualClock,
    pub(crate) models: Repository,
    pub(crate) source: Repository,
    pub(crate) server: Server,
    pub(crate) client: Client,
    capture: Capture,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Scene {
    /// Serves version 1.
    pub(crate) async fn start() -> Self {
        Self::serving(Repository::temporary_with_model(), settling(), Inline).await
    }

    pub(crate) async fn serving(
        models: Repository,
        config: Config,
        executor: impl Executor,
    ) -> Self {
        let clock = ManualClock::start();
        let (capture, guard) = Capture::start();
        let source = Repository::temporary_with_model();
        source.publish(MODEL, &other_model());
        let (server, client) = serve_with(&models, config, executor).await;
        Self {
            clock,
            models,
            source,
            server,
            client,
            capture,
            _guard: guard,
        }
    }

    pub(crate) fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.source.path(&format!("2/{file}"))).unwrap()
    }

    pub(crate) fn target(&self, file: &str) -> PathBuf {
        self.models.path(&format!("2/{file}"))
    }

    /// Lets poll intervals pass, in steps of one look at an arriving version. The jobs run inline,
    /// so the loader finishes its work after each step within a few turns.
    pub(crate) async fn pass(&self, polls: f64) {
        for _ in 0..(polls * 4.0).round() as usize {
            self.clock.run_out(POLL / 4.0).await;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) fn status(&self) -> ModelStatus {
        self.server.models().status(MODEL).unwrap()
    }

    /// The detail of version 2, which must be arriving.
    #[track_caller]
    pub(crate) fn arriving(&self) -> String {
        match &self.status().versions[&version(2)] {
            VersionStatus::Arriving { detail } => detail.clone(),
            other => panic!("version 2 is not arriving: {other:?}"),
        }
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        metric(&self.server, &format!(r#"{name}{{model="{MODEL}"}}"#))
    }

    /// The number of failures that alarms count.
    pub(crate) fn alarms(&self) -> f64 {
        let failures = Reason::OF_LOADS.iter().map(|reason| {
            let series =
                format!(r#"model_load_failures_total{{model="{MODEL}",reason="{reason}"}}"#);
            metric(&self.server, &series)
        });
        failures.sum::<f64>() + self.metric("checksum_verification_failures_total")
    }

    /// Asserts that the upload of version 2 is in progress, and no failure.
    #[track_caller]
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(self.alarms(), 0.0);
        assert!(!self.models.path("2.quarantine.json").exists());
        let status = self.status();
        assert_eq!(status.degraded, None, "{status:?}");
        assert_eq!(status.serving.unwrap().0, version(1));
        self.arriving();
        assert_eq!(self.metric("model_versions_arriving"), 1.0);
    }

    /// Asserts that version 2 is served within a poll, and that no failure was reported.
    pub(crate) async fn assert_served(&self) {
        self.pass(1.0).await;
        let answer = self.client.post(INFER, &request()).await.unwrap();
        answer.assert_served_by(2, false);
        assert_eq!(self.metric("model_versions_arriving"), 0.0);
        assert!(!self.models.path("2.quarantine.json").exists());
    }

    pub(crate) fn errors(&self) -> usize {
        self.capture.take(Level::ERROR).len()
    }

    /// Writes a file in chunks, one in each poll interval and for more than the settle time. Checks
    /// the state of the server after each chunk.
    pub(crate) async fn write_slowly(&self, name: &str, bytes: &[u8]) {
        let mut file = File::create(self.target(name)).unwrap();
        let size = bytes.len().div_ceil(15);
        for (number, chunk) in bytes.chunks(size).enumerate() {
            file.write_all(chunk).unwrap();
            // Copying programs set times of the past.
            let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - number as u64);
            file.set_modified(past).unwrap();
            if number * size + chunk.len() < bytes.len() {
                self.pass(1.0).await;
                self.assert_quiet();
            }
        }
    }
}

#[tokio::test]
async fn slow_upload_with_manifest_first_is_no_failure() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    scene.pass(1.0).await;
    assert_eq!(scene.arriving(), "no manifest.json yet");
    scene
        .write_slowly("manifest.json", &scene.bytes("manifest.json"))
        .await;
    scene.pass(1.0).await;
    assert_eq!(scene.arriving(), "model.onnx: the file does not exist");
    scene
        .write_slowly("model.onnx", &scene.bytes("model.onnx"))
        .await;
    scene.assert_served().await;
    assert_eq!((scene.alarms(), scene.errors()), (0.0, 0));
}

#[tokio::test]
async fn slow_upload_with_manifest_last_is_no_failure() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    scene
        .write_slowly("model.onnx", &scene.bytes("model.onnx"))
        .await;
    scene.pass(1.0).await;
    scene
        .write_slowly("manifest.json", &scene.bytes("manifest.json"))
        .await;
    scene.assert_served().await;
    assert_eq!((scene.alarms(), scene.errors()), (0.0, 0));
}

/// Copies as `rsync -t` does: each file has a hidden temporary name until it is complete.
#[tokio::test]
async fn slow_upload_under_temporary_names_is_no_failure() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    for (name, temporary) in [
        ("manifest.json", ".manifest.json.q7Zb1d"),
        ("model.onnx", ".model.onnx.Xa3b9c"),
    ] {
        scene.write_slowly(temporary, &scene.bytes(name)).await;
        scene.pass(1.0).await;
        scene.assert_quiet();
        fs::rename(scene.target(temporary), scene.target(name)).unwrap();
    }
    scene.assert_served().await;
    assert_eq!((scene.alarms(), scene.errors()), (0.0, 0));
}

#[tokio::test]
async fn upload_that_stalls_is_bad_after_the_settle_time() {
    let scene = Scene::start().await;
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    let bytes = scene.bytes("model.onnx");
    scene
        .write_slowly("model.onnx", &bytes[..bytes.len() / 2])
        .await;
    scene.pass(9.0).await;
    scene.assert_quiet();
    assert_eq!(scene.errors(), 0);
    scene.pass(1.5).await;
    let status = scene.status();
    assert_eq!(reason_of(&status, 2), Some(Reason::ModelCorrupt));
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    assert!(scene.models.path("2.quarantine.json").exists());
    assert_eq!(scene.metric("model_versions_arriving"), 0.0);
    // One in the load failures, one in the checksum failures.
    assert_eq!((scene.alarms(), scene.errors()), (2.0, 1));

    // The upload continues, as slowly as before.
    let (begun, rest) = bytes.split_at(bytes.len() / 2);
    assert!(!begun.is_empty());
    let weights = scene.target("model.onnx");
    let mut file = OpenOptions::new().append(true).open(weights).unwrap();
    for chunk in rest.chunks(rest.len().div_ceil(12)) {
        scene.pass(1.0).await;
        file.write_all(chunk).unwrap();
    }
    scene.assert_served().await;
    assert_eq!((scene.alarms(), scene.errors()), (2.0, 0));
}

/// The control for the other tests: without a settle time, each poll of a good upload reports an
/// error.
#[tokio::test]
async fn slow_upload_without_a_settle_time_is_many_failures() {
    let mut config = settling();
    config.reload.settle = Duration::ZERO;
    let models = Repository::temporary_with_model();
    let scene = Scene::serving(models, config, Inline).await;
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    let bytes = scene.bytes("model.onnx");
    let mut file = File::create(scene.target("model.onnx")).unwrap();
    for chunk in bytes.chunks(bytes.len().div_ceil(12)) {
        scene.pass(1.0).await;
        file.write_all(chunk).unwrap();
    }
    scene.assert_served().await;
    let checksums = scene.metric("checksum_verification_failures_total");
    let errors = scene.errors();
    println!("checksum failures: {checksums}, errors: {errors}");
    assert!(checksums > 10.0 && errors > 10, "{checksums}, {errors}");
}

/// A scrub that reads a version during its upload is no failure either.
#[tokio::test]
async fn scrub_during_an_upload_is_no_failure() {
    let mut config = settling();
    config.scrub.pause = Duration::from_secs_f64(POLL);
    let models = Repository::temporary_with_model();
    let scene = Scene::serving(models, config, Inline).await;
    fs::create_dir(scene.target("")).unwrap();
    fs::write(scene.target("manifest.json"), scene.bytes("manifest.json")).unwrap();
    scene
        .write_slowly("model.onnx", &scene.bytes("model.onnx"))
        .await;
    scene.assert_served().await;
    assert_eq!(scene.metric("scrub_failures_total"), 0.0);
    assert!(metric(&scene.server, "scrub_rounds_total") > 1.0);
    assert_eq!((scene.alarms(), scene.errors()), (0.0, 0));
}

/// Uploads to a real process with real time. The settle time is long, so a slow machine does not
/// make the upload stall.
#[tokio::test]
async fn program_serves_a_slow_upload_without_an_error() {
    let models = Repository::temporary_with_model();
    let source = Repository::temporary_with_model();
    source.publish(MODEL, &other_model());
    let flags = ["--settle-time", "1h"];
    let mut process = ServerProcess::start(crate::CLARITY, models.root(), &flags);
    let client = process.client.clone();
    let metrics = async || client.get("/metrics").await.unwrap().body;
    let arriving = format!(r#"model_versions_arriving{{model="{MODEL}"}}"#);
    fs::create_dir(models.path("2")).unwrap();
    for name in ["manifest.json", "model.onnx"] {
        let bytes = fs::read(source.path(&format!("2/{name}"))).unwrap();
        let mut file = File::create(models.path(&format!("2/{name}"))).unwrap();
        for chunk in bytes.chunks(bytes.len().div_ceil(4)) {
            until_some("a look", async || {
                (metric_in(&metrics().await, &arriving) == Some(1.0)).then_some(())
            })
            .await;
            file.write_all(chunk).unwrap();
        }
    }
    until_some("version 2", async || {
        let answer = client.post(INFER, &request()).await.unwrap();
        (answer.json()["model_version"] == "2").then_some(())
    })
    .await;
    let body = metrics().await;
    let failures = format!(r#"checksum_verification_failures_total{{model="{MODEL}"}}"#);
    assert_eq!(metric_in(&body, &failures), Some(0.0), "{body}");
    process.child.kill().unwrap();
    let mut log = String::new();
    let stderr = process.child.stderr.as_mut().unwrap();
    std::io::Read::read_to_string(stderr, &mut log).unwrap();
    assert!(log.contains("model version arriving"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}
