//! Verified models that would crash or block the server if its own process loaded them.

use std::fs;
use std::time::Duration;

use clarity::{Reason, RtenRuntime, Server, VersionStatus, Vetting, VettingLimits};
use clarity_testbed::*;

use crate::CLARITY;

fn limits() -> VettingLimits {
    let mut limits = VettingLimits::default();
    limits.address_space = 256 << 20;
    limits.cpu = Duration::from_secs(1);
    limits
}

fn in_child() -> Vetting {
    Vetting::child(env!("CARGO_BIN_EXE_clarity"), &["vet"], limits())
}

/// The name of each sample, the sample, and a part of its refusal's message.
#[cfg(target_os = "linux")]
const SAMPLES: [(&str, &[u8], &str); 6] = [
    (
        "memory_at_inference",
        hostile::MEMORY_AT_INFERENCE,
        "memory",
    ),
    ("memory_at_load", hostile::MEMORY_AT_LOAD, "memory"),
    ("overflow_at_load", hostile::OVERFLOW_AT_LOAD, "overflow"),
    (
        "stack_at_load",
        hostile::STACK_AT_LOAD,
        "nested more deeply than 32",
    ),
    ("time_at_inference", hostile::TIME_AT_INFERENCE, "CPU time"),
    ("time_at_load", hostile::TIME_AT_LOAD, "CPU time"),
];

/// The peak resident memory of a process, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().strip_suffix(" kB").unwrap();
    peak.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hostile_models_are_refused_and_cost_the_server_nothing() {
    let models = Repository::temporary_with_model();
    for (name, sample, _) in SAMPLES {
        models.publish(name, sample);
    }
    // The operating system enforces the child's limits: 256 MiB of memory and one second of CPU
    // time.
    let flags = ["--vetting-memory", "268435456", "--vetting-cpu", "1s"];
    let serving = ServerProcess::start(CLARITY, models.root(), &flags);
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    let before = peak_memory(serving.child.id());
    for (name, _, says) in SAMPLES {
        let path = format!("/v2/models/{name}/ready");
        let refused = until_some("the end of the vetting", async || {
            let response = serving.client.get(&path).await.unwrap();
            assert_eq!(response.status, 503, "{name}");
            if response.json()["reason"] != "model_loading" {
                return Some(response);
            }
            // During the vetting, the other models answer.
            let answer = serving.client.post(INFER, &short_request()).await.unwrap();
            assert_eq!(answer.body, SHORT_ANSWER, "{name}");
            None
        })
        .await;
        refused.assert_problem(503, "model_incompatible");
        refused.assert_says(says);
    }
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    let grown = peak_memory(serving.child.id()) - before;
    assert!(grown < 32 << 10, "{grown} KiB more");
}

#[cfg(unix)]
#[tokio::test]
async fn hostile_version_leaves_the_one_that_answers_alone() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).vetting(in_child());
    let (server, client) = start(builder).await;
    models.publish("cole_kripke", hostile::MEMORY_AT_LOAD);
    let status = server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(status.serving.unwrap().0, version(1));
    assert_eq!(
        reason_of(&status, 2),
        Some(Reason::ModelIncompatible),
        "{status:?}"
    );
    let answer = client.post(INFER, &short_request()).await.unwrap().json();
    assert_eq!(answer["model_version"], "1");
}

/// The version is reported as unreadable, not as incompatible: the fault is not in the version.
#[tokio::test]
async fn version_is_not_swapped_in_without_vetting() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
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

/// A child that ends without an answer causes an error too.
#[cfg(unix)]
#[test]
fn silent_child_is_killed_after_its_time() {
    let models = Repository::temporary_with_model();
    let verified = |models: &Repository| {
        let name = "cole_kripke".parse().unwrap();
        models.store.open(&name, version(1)).unwrap()
    };
    let mut limits = limits();
    limits.time = Duration::from_millis(50);
    let silent = Vetting::child("/bin/sleep", &["1000"], limits.clone());
    let error = silent.vet(&verified(&models)).unwrap_err();
    assert!(
        error.to_string().contains("did not answer within 50ms"),
        "{error}"
    );
    assert!(!error.is_lasting());
    let ended = Vetting::child("/bin/false", &[], VettingLimits::default());
    let error = ended.vet(&verified(&models)).unwrap_err();
    assert!(
        error.to_string().contains("ended without a verdict"),
        "{error}"
    );
}

/// The child refuses bytes that change on their way to it.
#[test]
fn child_verifies_the_bytes_that_it_receives() {
    let head = |manifest: &str| {
        let limits = serde_json::to_value(VettingLimits::default()).unwrap();
        serde_json::json!({ "limits": limits, "manifest_bytes": manifest.len() }).to_string()
    };
    let manifest = include_str!("../../chaos_tests/models/cole_kripke/1/manifest.json");
    let mut sent = format!("{}\n{manifest}", head(manifest)).into_bytes();
    sent.extend(MODEL_BYTES);
    let ask = |sent: &[u8]| {
        let mut child = command(CLARITY)
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
    let stdout = String::from_utf8(passed.stdout).unwrap();
    let lines: Vec<&str> = stdout.lines().collect();
    let step = "generated input 1, size 1, filled with 0";
    assert_eq!(lines[..2], ["the load", step]);
    let verdict: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(verdict["passed"]["trial"], "warmed_up");
    assert_eq!(verdict["passed"]["runtime"]["name"], "rten");
    assert_eq!(lines.len(), 3);
    let last = sent.len() - 1;
    sent[last] ^= 1;
    let refused = ask(&sent);
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("expected SHA-256 837b04d3"), "{stderr}");
    assert!(refused.stdout.is_empty());
}

/// A run of a request has no limit of memory or time, so such a run would end the server.
#[cfg(target_os = "linux")]
#[test]
fn death_in_a_generated_run_is_refused_and_names_the_run() {
    let models = Repository::temporary();
    for (name, sample, step) in [
        ("memory", hostile::MEMORY_AT_INFERENCE, "generated input 1"),
        ("time", hostile::TIME_AT_INFERENCE, "generated input 1"),
        ("load", hostile::TIME_AT_LOAD, "during the load"),
    ] {
        models.publish(name, sample);
        let opened = models.store.open(&name.parse().unwrap(), version(1));
        let error = in_child().vet(&opened.unwrap()).unwrap_err();
        let text = error.to_string();
        assert!(error.is_lasting(), "{text}");
        assert!(text.contains(step), "{name}: {text}");
        let advises = text.contains("publish the version with a probe");
        assert_eq!(advises, name != "load", "{name}: {text}");
    }
}

#[cfg(unix)]
#[test]
fn add_refuses_a_hostile_model_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostile.onnx");
    fs::write(&file, hostile::STACK_AT_LOAD).unwrap();
    let added = command(CLARITY)
        .args(["add", "hostile", file.to_str().unwrap(), "--models"])
        .arg(dir.path().join("models"))
        .output()
        .unwrap();
    assert_eq!(added.status.code(), Some(1));
    let stderr = String::from_utf8(added.stderr).unwrap();
    assert!(stderr.contains("cannot publish hostile"), "{stderr}");
    assert!(stderr.contains("nested more deeply than 32"), "{stderr}");
}

#[test]
fn child_reports_the_error_of_the_runtime() {
    let models = Repository::temporary();
    models.publish("garbage", b"not a model");
    let open = || models.store.open(&"garbage".parse().unwrap(), version(1));
    let here = clarity::try_version(&RtenRuntime::new(), open().unwrap());
    let there = in_child().vet(&open().unwrap()).unwrap_err();
    assert_eq!(there.to_string(), here.err().unwrap().to_string());
    assert!(there.is_lasting());
}
