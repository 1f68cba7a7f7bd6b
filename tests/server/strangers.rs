//! Entries that other programs leave in the directories of models and versions.

use std::fs;

use clarity::Inline;
use clarity_testbed::*;
use serde_json::Value;

use crate::CLARITY;
use crate::logs::Capture;

/// The traces of common programs, and a directory of a person.
const STRANGERS: [&str; 9] = [
    ".DS_Store",
    ".nfs000000000001",
    ".gitignore",
    ".model.onnx.swp",
    "Thumbs.db",
    "__MACOSX/._model.onnx",
    ".git/objects/00/1",
    "README.md",
    "notes/todo.txt",
];

fn leave(models: &Repository) {
    for name in STRANGERS {
        let path = models.path("1").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A server that reads them finds no file.
        fs::write(path, "by a stranger").unwrap();
    }
}

#[tokio::test]
async fn strangers_change_nothing_at_a_start() {
    let models = Repository::temporary_with_model();
    leave(&models);
    let (_server, client) = serve(&models).await;
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
}

/// They neither make the model degraded nor cause a load of the version.
#[tokio::test]
async fn strangers_change_nothing_while_the_model_answers() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let (server, client) = serve(&models).await;
    let loads = || {
        metric(
            &server,
            r#"model_load_duration_seconds_count{model="cole_kripke"}"#,
        )
    };
    let before = (
        server.models().status("cole_kripke").unwrap().attempts,
        loads(),
    );
    leave(&models);
    clock.run_out(1.0).await;
    let mut watch = server.models().watch("cole_kripke").unwrap();
    let status = within("a pass", watch.wait_for(|now| now.attempts > before.0)).await;
    assert_eq!((status.degraded, status.next_attempt), (None, None));
    assert_eq!(loads(), before.1);
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    assert!(!models.path("1.quarantine.json").exists());
}

/// Each stranger is a pipe: an attempt to read it waits for a writer, or reads nothing.
#[cfg(unix)]
#[tokio::test]
async fn strangers_are_never_opened() {
    let models = Repository::temporary_with_model();
    let pipe = models.path("1/other.onnx");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let (_server, client) = serve(&models).await;
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    // Without a reader, a pipe refuses a writer that does not wait.
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    let opened = rustix::fs::open(&pipe, flags, rustix::fs::Mode::empty());
    assert_eq!(opened.err(), Some(rustix::io::Errno::NXIO));
}

#[tokio::test]
async fn strangers_of_an_unverified_version_are_left_out() {
    let models = Repository::temporary();
    fs::create_dir_all(models.path("1")).unwrap();
    fs::write(models.path("1/model.onnx"), MODEL_BYTES).unwrap();
    for name in [
        ".DS_Store",
        "__MACOSX/._model.onnx",
        "Thumbs.db",
        ".git/x.onnx",
    ] {
        let path = models.path("1").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "by a stranger").unwrap();
    }
    let mut config = config();
    config.reload.allow_unverified = true;
    let (_server, client) = serve_with(&models, config, Inline).await;
    let answer = client.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let opened = models
        .store
        .open_unverified(&MODEL.parse().unwrap(), version(1));
    assert_eq!(opened.unwrap().files().len(), 1);
}

/// The detail of the refusal names the directories that are no versions.
#[tokio::test]
async fn refusal_names_directories_that_are_no_versions() {
    let models = Repository::temporary();
    for name in ["0", "01", "v1", "latest"] {
        fs::create_dir_all(models.path(name)).unwrap();
        fs::write(models.path(name).join("model.onnx"), MODEL_BYTES).unwrap();
    }
    fs::write(models.path("config.pbtxt"), "").unwrap();
    let (_server, client) = serve(&models).await;
    let refused = client.post(INFER, &short_request()).await.unwrap();
    refused.assert_problem(503, "model_missing");
    refused.assert_says(
        "no version on disk; ignored: 0, 01, latest, v1 \
         (invalid version: expected a positive integer without leading zeros)",
    );
}

/// Each entry is logged once, although each poll finds it again.
#[tokio::test]
async fn ignored_entries_are_logged_once() {
    let models = Repository::temporary_with_model();
    leave(&models);
    fs::create_dir(models.path("v2")).unwrap();
    let (capture, _guard) = Capture::start();
    let clock = ManualClock::start();
    let (server, _client) = serve(&models).await;
    let mut watch = server.models().watch(MODEL).unwrap();
    for round in 0..3 {
        let before = watch.current().attempts;
        // A change lets the loader run a pass.
        fs::write(models.path("1/change"), &[0; 9][..round]).unwrap();
        clock.run_out(1.0).await;
        within("a pass", watch.wait_for(|now| now.attempts > before)).await;
    }
    let mut entries = capture.take(tracing::Level::INFO);
    entries.retain(|event| {
        event
            .get("message")
            .is_some_and(|text| text == "entry ignored")
    });
    let mut named: Vec<&str> = entries.iter().map(|event| &*event["entry"]).collect();
    named.sort_unstable();
    let expected = [
        ".DS_Store",
        ".git/",
        ".gitignore",
        ".model.onnx.swp",
        ".nfs000000000001",
        "README.md",
        "Thumbs.db",
        "__MACOSX/",
        "change",
        "notes/",
    ];
    assert_eq!(named, expected);
}

#[test]
fn commands_name_strangers_and_succeed() {
    let models = Repository::temporary_with_model();
    leave(&models);
    fs::create_dir(models.path("latest")).unwrap();
    for args in [&["list"][..], &["verify"], &["info", MODEL]] {
        let run = |more: &[&str]| {
            let mut command = command(CLARITY);
            let command = command.args(args).args(more);
            command.arg("--models").arg(models.root()).output().unwrap()
        };
        let output = run(&[]);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let notes = String::from_utf8(output.stderr).unwrap();
        for name in [".DS_Store", "__MACOSX/", "notes/", "README.md"] {
            let note = format!("note: cole_kripke/1/{name} is ignored: ");
            assert_eq!(notes.matches(&note).count(), 1, "{args:?}: {notes}");
        }
        let warning = "warning: cole_kripke/latest is ignored: invalid version";
        assert!(notes.contains(warning), "{args:?}: {notes}");
        let json: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
        let of_version = match &json {
            Value::Array(rows) => &rows[0],
            object => &object["versions"][0],
        };
        assert_eq!(
            of_version["unlisted"].as_array().unwrap().len(),
            STRANGERS.len()
        );
    }
}
