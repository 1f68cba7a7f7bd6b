//! Versions that the server or an operator quarantines.

use std::fs;
use std::sync::Arc;

use clarity::{
    AutoRuntime, Inline, QuarantineCause, ReadyWhen, Reason, RuntimeError, Server, Store,
    VersionStatus,
};
use clarity_testbed::*;

fn held(store: &Store, number: u64) -> Option<QuarantineCause> {
    let held = store.quarantined(&"cole_kripke".parse().unwrap(), version(number));
    held.map(|held| held.cause())
}

#[tokio::test]
async fn corrupt_version_is_quarantined_until_it_is_repaired() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 0);
    let (server, _client) = serve(&models).await;
    assert_eq!(held(&models.store, 1), Some(QuarantineCause::Corrupt));
    let marker = fs::read_to_string(models.path("1.quarantine.json")).unwrap();
    assert!(marker.contains("expected SHA-256 837b04d3"), "{marker}");
    assert!(
        models.path("1/model.onnx").exists(),
        "the corrupt file was deleted"
    );
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let attempts = watch.current().attempts;
    models.flip_bit("1/model.onnx", 0);
    clock.run_out(1.0).await;
    let status = within("a status", watch.wait_for(|now| now.attempts > attempts)).await;
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(held(&models.store, 1), None);
}

#[tokio::test]
async fn incompatible_version_is_not_loaded_after_a_restart() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", b"not a model");
    let (server, _client) = serve(&models).await;
    drop(server);
    assert_eq!(held(&models.store, 2), Some(QuarantineCause::Incompatible));

    let faulty = FaultSwitch::new();
    let restart = || {
        let builder = Server::builder(models.root()).config(config());
        let builder = builder.executor(clarity::Inline);
        start(builder.shared_runtime(Arc::new(faulty.runtime())))
    };
    let (server, _client) = restart().await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelIncompatible));
    match &status.versions[&version(2)] {
        VersionStatus::Refused { detail, .. } => {
            assert!(detail.starts_with("quarantined since 20"), "{detail}");
            assert!(detail.contains("the runtime cannot load"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        metric(
            &server,
            r#"model_load_duration_seconds_count{model="cole_kripke"}"#
        ),
        1.0
    );
    drop(server);

    // A version with another manifest is a different version, even with the same number.
    let good = Repository::temporary_with_model();
    good.publish("cole_kripke", MODEL_BYTES);
    fs::remove_dir_all(models.path("2")).unwrap();
    fs::rename(good.path("2"), models.path("2")).unwrap();
    let (server, _client) = restart().await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(2));
    assert_eq!(held(&models.store, 2), None);
}

#[tokio::test]
async fn quarantine_by_another_release_is_checked_again() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", b"not a model");
    drop(serve(&models).await);
    let path = models.path("2.quarantine.json");
    let marker = fs::read_to_string(&path).unwrap();
    let release = format!(r#""release": "{}, rten "#, env!("CARGO_PKG_VERSION"));
    assert!(marker.contains(&release), "{marker}");
    for other in [
        r#""release": "0.0.1, rten "#.to_owned(),
        release.replace("rten", "other"),
    ] {
        fs::write(&path, marker.replace(&release, &other)).unwrap();
        let (server, _client) = serve(&models).await;
        assert_eq!(
            metric(
                &server,
                r#"model_load_duration_seconds_count{model="cole_kripke"}"#
            ),
            2.0
        );
        assert_eq!(held(&models.store, 2), Some(QuarantineCause::Incompatible));
    }
}

/// A server without the second runtime has quarantined the version.
#[tokio::test]
async fn version_is_served_once_a_runtime_can_run_it() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    models.publish("cole_kripke", MODEL_BYTES);
    let unloadable = || RuntimeError::Unloadable("no operator Fancy".to_owned());
    let refusing = FakeRuntime::new("first").refusing(unloadable);
    let builder = || {
        Server::builder(models.root())
            .config(config())
            .executor(Inline)
    };
    drop(start(builder().runtime(refusing.clone())).await);
    assert_eq!(held(&models.store, 1), Some(QuarantineCause::Incompatible));
    let second = Arc::new(FakeRuntime::new("second"));
    let both = AutoRuntime::new(Arc::new(refusing), second);
    let (server, _client) = start(builder().runtime(both)).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(held(&models.store, 1), None);
}

#[tokio::test]
async fn operator_withdraws_and_releases_the_served_version() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    let (server, client) = serve(&models).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    assert_eq!(watch.current().serving.unwrap().0, version(2));
    let model = "cole_kripke".parse().unwrap();
    models
        .store
        .quarantine(&model, version(2), "a bad day")
        .unwrap();
    clock.run_out(1.0).await;
    let status = within("a status", watch.wait_for(|now| now.attempts > 1)).await;
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(
        (status.degraded, status.next_attempt),
        (None, None),
        "an intended fallback is degraded"
    );
    assert!(
        matches!(&status.versions[&version(2)], VersionStatus::Withdrawn { detail } if detail == "a bad day")
    );
    let second = client
        .get("/v2/models/cole_kripke/versions/2")
        .await
        .unwrap();
    second.assert_problem(404, "version_not_loaded");

    assert!(models.store.release(&model, version(2)).unwrap());
    clock.run_out(1.0).await;
    let status = within("a status", watch.wait_for(|now| now.attempts > 2)).await;
    assert_eq!(status.serving.unwrap().0, version(2));
}

/// A degraded answer is better than no answer.
#[tokio::test]
async fn withdrawn_version_answers_until_another_can() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    models
        .store
        .quarantine(&"cole_kripke".parse().unwrap(), version(1), "old")
        .unwrap();
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(status.degraded, Some(Reason::ModelMissing));
    drop(server);
    // A server that starts later does not load the withdrawn version.
    let (_server, restarted) = serve(&models).await;
    drop(client);
    let refused = restarted.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "model_missing");
    refused.assert_says("withdrawn");
}

#[tokio::test]
async fn garbage_as_marker_is_a_quarantine() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.publish("cole_kripke", MODEL_BYTES);
    fs::write(models.path("2.quarantine.json"), "{}").unwrap();
    let (server, _client) = serve(&models).await;
    let status = server.models().status("cole_kripke").unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(held(&models.store, 2), Some(QuarantineCause::Operator));
}

#[tokio::test]
async fn empty_directory_does_not_count_and_a_vanished_model_does() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    fs::create_dir(models.root().join("empty")).unwrap();
    let mut config = config();
    config.ready_when = ReadyWhen::All;
    let (server, client) = serve_with(&models, config, Inline).await;
    client
        .get("/v2/models/empty/ready")
        .await
        .unwrap()
        .assert_problem(503, "model_missing");
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
    models.publish("empty", b"not a model");
    server.models().reload("empty").await.unwrap();
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 503);
    fs::remove_dir_all(models.root().join("empty")).unwrap();
    server.models().reload("empty").await.unwrap();
    client
        .get("/v2/health/ready")
        .await
        .unwrap()
        .assert_problem(503, "model_missing");
}

/// A symlink replaces the directory, since root can read a directory without permissions.
#[cfg(unix)]
#[tokio::test]
async fn unreadable_directory_is_unreadable_and_not_missing() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    fs::create_dir(models.path("")).unwrap();
    let (server, client) = serve(&models).await;
    fs::remove_dir(models.path("")).unwrap();
    std::os::unix::fs::symlink("/", models.root().join("cole_kripke")).unwrap();
    server.models().reload("cole_kripke").await.unwrap();
    for path in ["/v2/models/cole_kripke/ready", "/v2/health/ready"] {
        let refused = client.get(path).await.unwrap();
        refused.assert_problem(503, "link_not_allowed");
    }
}
