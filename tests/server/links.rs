//! Models and versions behind symlinks, in the layouts that other programs make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clarity::{Config, Digest, Inline, Server, Store};
use clarity_testbed::*;

use crate::CLARITY;

/// A temporary directory. The published versions are in `staging`, the served models in `models`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("models")).unwrap();
        place
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    /// The files of version 1 of the model, with weights of `scale` times the published ones.
    fn payload(&self, scale: f32, prefix: &str) -> Payload {
        let staging = Repository::at(self.path(&format!("staging-{scale}")));
        if !staging.version(MODEL, 1).exists() {
            let model = cole_kripke::scaled(MODEL_BYTES, scale).unwrap();
            let other = scale.to_string();
            let files: [(&str, &[u8]); 2] = [("model.onnx", &model), ("a.bin", other.as_bytes())];
            staging.publish_files(MODEL, &files).unwrap();
        }
        payload_of(&staging.version(MODEL, 1), prefix).unwrap()
    }

    fn config(&self, roots: &[&str]) -> Config {
        let mut config = config();
        config.follow_links_under = roots.iter().map(|root| self.path(root)).collect();
        config
    }

    async fn serve(&self, roots: &[&str]) -> (Server, Client) {
        let builder = Server::builder(self.path("models")).config(self.config(roots));
        start(builder.executor(Inline)).await
    }
}

async fn assert_answers(client: &Client, scale: f32) {
    let activity = [8.0, 0.0, 0.0, 0.0, 0.0];
    let request = cole_kripke::request(&activity);
    let answer = client.post(INFER, &request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json().get("parameters").is_none(), "{}", answer.body);
    cole_kripke::assert_right(&answer, &activity, scale).unwrap();
}

/// Serves a volume that is mounted at `mount`. The paths of its files begin with `prefix`. A swap
/// must be noticed at the next poll.
async fn assert_served_and_swapped(mount: &str, prefix: &str) {
    let clock = ManualClock::start();
    let place = Place::new();
    let mut volume = KubernetesVolume::mount(place.path(mount)).unwrap();
    volume.write(&place.payload(1.0, prefix)).unwrap();
    let (server, client) = place.serve(&["models"]).await;
    assert_answers(&client, 1.0).await;

    let before = server.models().status(MODEL).unwrap();
    volume.write(&place.payload(2.0, prefix)).unwrap();
    clock.run_out(1.0).await;
    let mut watch = server.models().watch(MODEL).unwrap();
    let swapped = watch.wait_for(|now| now.serving != before.serving);
    let status = within("the swap", swapped).await;
    assert_eq!(status.degraded, None);
    assert_answers(&client, 2.0).await;
}

#[tokio::test]
async fn config_map_of_a_version_is_served_and_swapped() {
    assert_served_and_swapped("models/cole_kripke/1", "").await;
}

/// The directory of the version is a link.
#[tokio::test]
async fn config_map_of_a_model_is_served_and_swapped() {
    assert_served_and_swapped("models/cole_kripke", "1/").await;
}

/// The directory of the model is a link.
#[tokio::test]
async fn config_map_of_all_models_is_served_and_swapped() {
    assert_served_and_swapped("models", "cole_kripke/1/").await;
}

/// Without the option, the refusal names the link, its target and the option. It is no damage, and
/// no marker is written.
#[tokio::test]
async fn links_are_refused_by_their_own_reason() {
    let _clock = ManualClock::start();
    let place = Place::new();
    let mut volume = KubernetesVolume::mount(place.path("models/cole_kripke/1")).unwrap();
    volume.write(&place.payload(1.0, "")).unwrap();
    let (server, client) = place.serve(&[]).await;
    let refused = client.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "link_not_allowed");
    refused.assert_says("models/cole_kripke/1/manifest.json is a symlink to ..data/manifest.json");
    refused.assert_says("--follow-links-under");
    assert!(!place.path("models/cole_kripke/1.quarantine.json").exists());
    let failures = |reason: &str| {
        let series =
            format!(r#"model_load_failures_total{{model="cole_kripke",reason="{reason}"}}"#);
        metric(&server, &series)
    };
    assert_eq!(
        (failures("link_not_allowed"), failures("model_corrupt")),
        (1.0, 0.0)
    );
    let failed = r#"checksum_verification_failures_total{model="cole_kripke"}"#;
    assert_eq!(metric(&server, failed), 0.0);
}

/// A version that is a link is refused like its files. An older version answers.
#[tokio::test]
async fn version_behind_a_link_outside_of_the_roots_is_refused() {
    let _clock = ManualClock::start();
    let place = Place::new();
    let models = Repository::at(place.path("models"));
    models.publish(MODEL, MODEL_BYTES);
    symlink("/etc", models.path("2")).unwrap();
    for roots in [&[][..], &["models"]] {
        let (_server, client) = place.serve(roots).await;
        let ready = client
            .get("/v2/models/cole_kripke/versions/2/ready")
            .await
            .unwrap();
        ready.assert_problem(503, "link_not_allowed");
        ready.assert_says("models/cole_kripke/2 is a symlink to /etc");
        let answer = client.infer(MODEL, &[8.0]).await.unwrap();
        answer.assert_served_by(1, true);
    }
}

/// The version is a link to a snapshot, and each file of the snapshot is a link to a blob. A blob
/// that rots is found, although no link changes.
#[tokio::test]
async fn snapshot_of_a_hub_cache_is_served() {
    let clock = ManualClock::start();
    let place = Place::new();
    let payload = place.payload(1.0, "");
    let cache = HubCache::with_snapshot(&place.path("hub"), &payload).unwrap();
    fs::create_dir(place.path("models/cole_kripke")).unwrap();
    symlink(cache.snapshot(), place.path("models/cole_kripke/1")).unwrap();
    let (server, client) = place.serve(&["hub"]).await;
    assert_answers(&client, 1.0).await;

    let blob = cache.blob(&Digest::of(&payload["model.onnx"]).to_string());
    let mut rotten = payload["model.onnx"].clone();
    rotten[200] ^= 1;
    fs::write(&blob, rotten).unwrap();
    clock.run_out(1.0).await;
    let mut watch = server.models().watch(MODEL).unwrap();
    let noticed = watch.wait_for(|now| now.degraded.is_some());
    let status = within("the damage", noticed).await;
    assert_eq!(status.degraded, Some(clarity::Reason::ModelCorrupt));
    let answer = client.infer(MODEL, &[8.0]).await.unwrap();
    answer.assert_served_by(1, true);
    let marker = place.path("models/cole_kripke/1.quarantine.json");
    assert!(marker.exists(), "the marker is next to the link");

    fs::write(&blob, &payload["model.onnx"]).unwrap();
    clock.run_out(1.0).await;
    let repaired = watch.wait_for(|now| now.degraded.is_none());
    within("the repair", repaired).await;
    assert!(!marker.exists());
}

/// Nothing is changed through a link to the directory of a model: several models can share it.
#[tokio::test]
async fn nothing_is_changed_through_a_link() {
    let _clock = ManualClock::start();
    let place = Place::new();
    let models = Repository::at(place.path("elsewhere"));
    models.publish(MODEL, MODEL_BYTES);
    models.flip_bit("1/model.onnx", 99);
    symlink(models.root().join(MODEL), place.path("models/cole_kripke")).unwrap();
    let (_server, client) = place.serve(&["elsewhere"]).await;
    let refused = client.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "model_corrupt");
    assert!(!models.path("1.quarantine.json").exists());
    let store = Store::new(place.path("models"));
    let store = store
        .follow_links_under(&[place.path("elsewhere")])
        .unwrap();
    let model = MODEL.parse().unwrap();
    let quarantined = store.quarantine(&model, version(1), "why").map(drop);
    for result in [quarantined, store.remove(&model, version(1))] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("is a symlink"), "{error}");
    }
    assert!(models.path("1/model.onnx").exists());
}

/// A scrub that has begun reads the old content to its end, or stops. It reports no damage.
#[tokio::test]
async fn scrub_follows_links_and_outlives_a_swap() {
    let clock = ManualClock::start();
    let place = Place::new();
    let mut volume = KubernetesVolume::mount(place.path("models/cole_kripke/1")).unwrap();
    volume.write(&place.payload(1.0, "")).unwrap();
    let mut config = place.config(&["models"]);
    config.scrub.pause = std::time::Duration::from_secs(10);
    config.scrub.rate = std::num::NonZeroU64::new(100);
    // The loader does not notice the swap before the scrub.
    config.reload.poll = std::time::Duration::from_secs(100_000);
    let builder = Server::builder(place.path("models")).config(config);
    let (server, _client) = start(builder.executor(Inline)).await;
    let bytes = || metric(&server, "scrub_read_bytes_total");
    clock.run_out(10.5).await;
    until("a part of the scrub", || bytes() > 0.0).await;
    assert!(bytes() < 473.0, "{}", bytes());
    volume.write(&place.payload(2.0, "")).unwrap();
    for _ in 0..100 {
        clock.run_out(1.5).await;
    }
    until("a second round", || bytes() > 600.0).await;
    let failures = r#"scrub_failures_total{model="cole_kripke"}"#;
    assert_eq!(metric(&server, failures), 0.0);
}

#[tokio::test]
async fn loop_of_links_is_neither_damage_nor_endless() {
    let _clock = ManualClock::start();
    let place = Place::new();
    let models = Repository::at(place.path("models"));
    models.publish(MODEL, MODEL_BYTES);
    fs::remove_file(models.path("1/model.onnx")).unwrap();
    symlink("other.onnx", models.path("1/model.onnx")).unwrap();
    symlink("model.onnx", models.path("1/other.onnx")).unwrap();
    let (_server, client) = place.serve(&["models"]).await;
    let refused = client.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "model_unreadable");
    refused.assert_says("symbolic links");
}

/// Another process has another root. Its absolute links begin there, as in a modelcar of KServe.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn modelcar_is_served_from_the_root_of_its_process() {
    const CAR: &str = "import os, sys
os.chroot(sys.argv[1])
print('ready', flush=True)
sys.stdin.read()";
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let place = Place::new();
    let car = Repository::at(place.path("car/srv/models"));
    car.publish(MODEL, MODEL_BYTES);
    fs::create_dir(place.path("car/blobs")).unwrap();
    fs::rename(car.path("1/model.onnx"), place.path("car/blobs/model")).unwrap();
    symlink("/blobs/model", car.path("1/model.onnx")).unwrap();
    symlink("/srv/models", place.path("car/models")).unwrap();

    let mut process = Command::new("python3");
    process.args(["-c", CAR]).arg(place.path("car"));
    process
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let Ok(mut process) = process.spawn() else {
        return eprintln!("left out: this test needs python3");
    };
    let mut line = String::new();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    if line == "ready\n" {
        let root = PathBuf::from(format!("/proc/{}/root", process.id()));
        // A modelcar leaves this link for the other containers of its pod.
        fs::remove_dir(place.path("models")).unwrap();
        symlink(root.join("models"), place.path("models")).unwrap();
        let mut config = config();
        config.follow_links_under = vec![root];
        let builder = Server::builder(place.path("models")).config(config);
        let (server, client) = start(builder.executor(Inline)).await;
        assert_answers(&client, 1.0).await;
        // The root stays open, even if the process ends and another one gets its number.
        process.kill().unwrap();
        process.wait().unwrap();
        let status = server.models().reload(MODEL).await.unwrap();
        assert_eq!(status.degraded, None, "{status:?}");
    } else {
        eprintln!("left out: only root can change the root of a process");
        let _ = process.kill();
        process.wait().unwrap();
    }
}

#[test]
fn commands_follow_links_under_named_directories() {
    let place = Place::new();
    let mut volume = KubernetesVolume::mount(place.path("models")).unwrap();
    volume.write(&place.payload(1.0, "cole_kripke/1/")).unwrap();
    let run = |args: &[&str], root: Option<&Path>| {
        let mut command = command(CLARITY);
        command.args(args).arg("--models").arg(place.path("models"));
        if let Some(root) = root {
            command.arg("--follow-links-under").arg(root);
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), text.concat())
    };
    for args in [&["list"][..], &["verify"], &["info", MODEL]] {
        let (code, text) = run(args, Some(&place.path("models")));
        assert_eq!(code, Some(0), "{args:?}: {text}");
        assert!(!text.contains("ignored"), "{args:?}: {text}");
    }
    let (_, text) = run(&["list"], None);
    assert!(text.contains("cole_kripke is ignored: "), "{text}");
    assert!(
        text.contains("is a symlink to ..data/cole_kripke"),
        "{text}"
    );
    assert!(text.contains("--follow-links-under"), "{text}");
    let (code, text) = run(&["verify"], Some(&place.path("nowhere")));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("nowhere: No such file or directory"),
        "{text}"
    );
}
