//! A server's care for its store: leftovers of killed commands, changed manifests, and permissions.

use std::fs;

use clarity::{Manifest, Reason};
use clarity_testbed::*;
use tracing::Level;

use crate::logs::{Capture, assert_fields};

/// The digest of a manifest, as logged.
fn digest(manifest: &Manifest) -> String {
    clarity::Digest::of(manifest.to_json().as_bytes()).to_string()
}

#[tokio::test]
async fn changed_manifest_of_a_served_version_is_a_warning() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let model = MODEL.parse().unwrap();
    let before = models.store.manifest(&model, version(1)).unwrap();
    let source = Repository::temporary();
    source.publish(MODEL, &other_model());
    let after = source.store.manifest(&model, version(1)).unwrap();
    let (server, client) = serve(&models).await;
    let series = format!(r#"model_manifest_changes_total{{model="{MODEL}"}}"#);
    assert_eq!(metric(&server, &series), 0.0);

    let (capture, _guard) = Capture::start();
    let mut watch = server.models().watch(MODEL).unwrap();
    fs::copy(
        source.path("1/manifest.json"),
        models.path("1/manifest.json"),
    )
    .unwrap();
    clock.run_out(1.0).await;
    let status = within("a status", watch.wait_for(|now| now.degraded.is_some())).await;
    assert_eq!(status.degraded, Some(Reason::ModelCorrupt));
    let warnings = capture.take(Level::WARN);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_fields(
        warning,
        &[
            ("model", MODEL),
            ("version", "1"),
            ("before", &digest(&before)),
            ("after", &digest(&after)),
        ],
    );
    // Retries do not report the same change again.
    server.models().reload(MODEL).await.unwrap();
    assert_eq!(capture.take(Level::WARN).len(), 0);
    assert_eq!(metric(&server, &series), 1.0);

    // The files follow, so the version is good again, with its new content.
    fs::copy(source.path("1/model.onnx"), models.path("1/model.onnx")).unwrap();
    server.models().reload(MODEL).await.unwrap();
    let answer = client
        .post(INFER, &cole_kripke::request(&[1.0; 7]))
        .await
        .unwrap();
    answer.assert_served_by(1, false);
    assert_eq!(metric(&server, &series), 1.0);

    // The change back is another change.
    fs::write(models.path("1/manifest.json"), before.to_json()).unwrap();
    server.models().reload(MODEL).await.unwrap();
    assert_eq!(metric(&server, &series), 2.0);
}

#[tokio::test]
#[cfg(unix)]
async fn starting_server_clears_what_killed_commands_left() {
    let models = Repository::temporary_with_model();
    let held = models.root().join(".publish-1-2");
    for left in [".publish-1-1", ".publish-1-2", ".remove-1-3"] {
        fs::create_dir(models.root().join(left)).unwrap();
        fs::write(models.root().join(left).join("model.onnx"), "a part").unwrap();
    }
    // Another process still fills this directory.
    let lock = fs::File::open(&held).unwrap();
    lock.lock().unwrap();
    // A marker without its version is no leftover: the version may follow.
    fs::write(models.path("7.quarantine.json"), "{}").unwrap();
    let (_server, client) = serve(&models).await;
    for cleared in [".publish-1-1", ".remove-1-3"] {
        let cleared = models.root().join(cleared);
        until("the leftovers are gone", || !cleared.exists()).await;
    }
    assert!(held.join("model.onnx").exists());
    assert!(models.path("7.quarantine.json").exists());
    let answer = client.post(INFER, &short_request()).await.unwrap();
    answer.assert_served_by(1, false);
    drop(lock);
}

/// Kills `clarity add` while it waits for its source, a pipe.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn starting_server_clears_after_a_killed_add() {
    let models = Repository::temporary_with_model();
    let staging = || {
        let entries = fs::read_dir(models.root()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".publish-")).count()
    };
    let source = Repository::temporary();
    let large = source.root().join("large.onnx");
    fs::File::create(&large).unwrap().set_len(16 << 30).unwrap();
    let mut add = command(crate::CLARITY);
    add.args(["add", "large", "--no-check", "--models"]);
    add.arg(models.root()).arg(&large);
    let mut add = add.spawn().unwrap();
    until("a staging directory", || {
        staging() > 0 || add.try_wait().unwrap().is_some()
    })
    .await;
    add.kill().unwrap();
    add.wait().unwrap();
    assert_eq!(staging(), 1, "add ended before it was killed");
    let (_server, _client) = serve(&models).await;
    until("the leftovers are gone", || staging() == 0).await;
}

#[tokio::test]
#[cfg(unix)]
async fn files_that_others_can_write_are_one_warning() {
    use std::os::unix::fs::PermissionsExt;

    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let set_mode = |path: &str, mode| {
        fs::set_permissions(models.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, mode) in [
        ("", 0o755),
        ("1", 0o777),
        ("1/manifest.json", 0o644),
        ("1/model.onnx", 0o666),
    ] {
        set_mode(path, mode);
    }
    let root = fs::Permissions::from_mode(0o777);
    fs::set_permissions(models.root(), root).unwrap();
    let (capture, _guard) = Capture::start();
    let (server, _client) = serve(&models).await;
    let mut warnings = Vec::new();
    until("two warnings", || {
        warnings.extend(capture.take(Level::WARN));
        warnings.len() >= 2
    })
    .await;
    warnings.sort_by_key(|warning| warning.contains_key("model"));
    let root = models.root().to_str().unwrap();
    let detail = "every user can write it (mode 0777)";
    assert_fields(&warnings[0], &[("entry", root), ("detail", detail)]);
    assert_fields(
        &warnings[1],
        &[
            ("model", MODEL),
            ("entries", "2"),
            ("entry", "cole_kripke/1"),
            ("detail", detail),
        ],
    );
    // Neither polls nor reloads repeat the warning.
    for _ in 0..5 {
        clock.run_out(1.0).await;
        server.models().reload(MODEL).await.unwrap();
    }
    assert_eq!(capture.take(Level::WARN).len(), 0);

    let mut verify = command(crate::CLARITY);
    verify.args(["verify", "--json", "--models"]);
    let output = verify.arg(models.root()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = [
        format!("cole_kripke/1: {detail}"),
        "cole_kripke/1/model.onnx: every user can write it (mode 0666)".to_owned(),
    ];
    assert_eq!(findings[0]["warnings"], serde_json::json!(expected));
    let stderr = String::from_utf8(output.stderr).unwrap();
    for warning in expected.iter().chain([&format!("{root}: {detail}")]) {
        assert!(stderr.contains(&format!("warning: {warning}")), "{stderr}");
    }
}
