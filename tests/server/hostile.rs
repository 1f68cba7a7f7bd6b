//! Verified models that would take the server with them, were they loaded in its process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clarity::{OnnxRuntime, Reason, Server, VersionStatus, Vetting, VettingLimits};

use crate::support::process::{Serving, clarity};
use crate::support::*;

fn hostile(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/server/data/hostile"
    ));
    fs::read(folder.join(name).with_extension("onnx")).unwrap()
}

fn limits() -> VettingLimits {
    VettingLimits {
        address_space: 256 << 20,
        cpu: Duration::from_secs(1),
        ..VettingLimits::default()
    }
}

fn in_child() -> Vetting {
    Vetting::child(env!("CARGO_BIN_EXE_clarity"), &["vet"], limits())
}

/// What each sample does, and what is said about it.
#[cfg(unix)]
const SAMPLES: [(&str, &str); 6] = [
    ("memory_at_inference", "memory"),
    ("memory_at_load", "memory"),
    ("overflow_at_load", "overflow"),
    ("stack_at_load", "stack overflow"),
    ("time_at_inference", "exceeded 1 s of CPU time"),
    ("time_at_load", "exceeded 1 s of CPU time"),
];

/// The greatest amount of memory that a process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().strip_suffix(" kB").unwrap();
    peak.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hostile_models_are_refused_with_their_reason_and_cost_the_server_nothing() {
    let models = Models::cole_kripke();
    for (name, _) in SAMPLES {
        models.publish(name, &hostile(name));
    }
    // Asked of the operating system: the environment, 256 MiB and a second are all that a child gets.
    let flags = ["--vetting-memory", "268435456", "--vetting-cpu", "1s"];
    let serving = Serving::start(models.root(), &flags);
    assert_eq!(serving.until(200).await, SHORT_ANSWER);
    let before = peak_memory(serving.child.id());
    for (name, says) in SAMPLES {
        let path = format!("/v2/models/{name}/ready");
        let refused = loop {
            let response = serving.client.get(&path).await;
            assert_eq!(response.status, 503, "{name}");
            if response.json()["reason"] != "model_loading" {
                break response;
            }
            // While it is being vetted the others answer.
            let answer = serving.client.post(INFER, &short_request()).await;
            assert_eq!(answer.body, SHORT_ANSWER, "{name}");
        };
        refused.assert_problem(503, "model_incompatible");
        refused.assert_says(says);
    }
    assert_eq!(serving.until(200).await, SHORT_ANSWER);
    let grown = peak_memory(serving.child.id()) - before;
    assert!(grown < 32 << 10, "{grown} KiB more");
}

#[cfg(unix)]
#[tokio::test]
async fn a_hostile_version_leaves_the_one_that_answers_alone() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).vetting(in_child());
    let (server, client) = start(builder).await;
    models.publish("cole_kripke", &hostile("memory_at_load"));
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(
        reason_of(&status, 2),
        Some(Reason::ModelIncompatible),
        "{status:?}"
    );
    let answer = client.post(INFER, &short_request()).await.json();
    assert_eq!(answer["model_version"], "1");
}

/// Nothing is swapped in that could not be vetted, and the version is not blamed for it.
#[tokio::test]
async fn without_a_process_to_vet_in_nothing_is_swapped_in() {
    let _clock = ManualClock::start();
    let models = Models::cole_kripke();
    let nowhere = Vetting::child("/nonexistent/program", &[], limits());
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).vetting(nowhere);
    let (server, _client) = start(builder).await;
    let status = server.models().status("cole_kripke").unwrap();
    match &status.versions[&version(1)] {
        VersionStatus::Refused {
            reason: Reason::ModelUnreadable,
            detail,
        } => assert!(detail.contains("/nonexistent/program"), "{detail}"),
        other => panic!("{other:?}"),
    }
}

/// A program that says nothing and never ends is killed when its time is over, and one that ends at once is told.
#[cfg(unix)]
#[test]
fn a_child_that_does_not_answer_is_not_waited_for() {
    let models = Models::cole_kripke();
    let verified = |models: &Models| {
        let name = "cole_kripke".parse().unwrap();
        models.store.open(&name, version(1)).unwrap()
    };
    let limits = VettingLimits {
        time: Duration::from_millis(50),
        ..limits()
    };
    let silent = Vetting::child("/bin/sleep", &["1000"], limits.clone());
    let error = silent.vet(&verified(&models)).unwrap_err();
    assert!(
        error.to_string().contains("did not answer within 50ms"),
        "{error}"
    );
    assert!(!error.is_lasting());
    let deaf = Vetting::child("/bin/false", &[], VettingLimits::default());
    let error = deaf.vet(&verified(&models)).unwrap_err();
    assert!(
        error.to_string().contains("ended without a verdict"),
        "{error}"
    );
}

/// The child trusts nobody: bytes that are not the promised ones on their way are refused there too.
#[test]
fn the_child_verifies_what_it_is_sent() {
    let head = |manifest: &str| {
        let limits = serde_json::to_value(VettingLimits::default()).unwrap();
        serde_json::json!({ "limits": limits, "manifest_bytes": manifest.len() }).to_string()
    };
    let manifest = include_str!("../../chaos_tests/models/cole_kripke/1/manifest.json");
    let mut sent = format!("{}\n{manifest}", head(manifest)).into_bytes();
    sent.extend(COLE_KRIPKE);
    let ask = |sent: &[u8]| {
        let mut child = clarity()
            .arg("vet")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), sent).unwrap();
        child.wait_with_output().unwrap()
    };
    let passed = ask(&sent);
    assert_eq!(passed.stdout, br#""passed""#, "{passed:?}");
    let last = sent.len() - 1;
    sent[last] ^= 1;
    let refused = ask(&sent);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("expected SHA-256 837b04d3"), "{said}");
    assert!(refused.stdout.is_empty());
}

#[cfg(unix)]
#[test]
fn add_refuses_a_hostile_model_and_lives() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostile.onnx");
    fs::write(&file, hostile("stack_at_load")).unwrap();
    let added = clarity()
        .args(["add", "hostile", file.to_str().unwrap(), "--models"])
        .arg(dir.path().join("models"))
        .output()
        .unwrap();
    assert_eq!(added.status.code(), Some(1));
    let said = String::from_utf8(added.stderr).unwrap();
    assert!(said.contains("cannot publish hostile"), "{said}");
    assert!(said.contains("stack overflow"), "{said}");
}

/// What the in-process runtime finds wrong is found in the child, in the same words.
#[test]
fn the_child_says_what_this_process_would() {
    let models = Models::empty();
    models.publish("garbage", b"not a model");
    let open = || models.store.open(&"garbage".parse().unwrap(), version(1));
    let here = clarity::try_version(&OnnxRuntime::new(), open().unwrap());
    let there = in_child().vet(&open().unwrap()).unwrap_err();
    assert_eq!(there.to_string(), here.err().unwrap().to_string());
    assert!(there.is_lasting());
}
