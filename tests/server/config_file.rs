//! `clarity serve --config FILE`

use std::fs;

use crate::support::process::{Serving, clarity};
use crate::support::*;

/// What `serve` says about a file that it does not take.
#[track_caller]
fn refused(text: &str, says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clarity.toml");
    fs::write(&file, text).unwrap();
    let mut command = clarity();
    command.args(["serve", "--listen", "127.0.0.1:0", "--models"]);
    command
        .arg(dir.path().join("none"))
        .arg("--config")
        .arg(&file);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}: {said}");
    assert!(said.contains("clarity.toml: "), "{said}");
    assert!(
        said.contains(says),
        "{text}: {said:?} does not say {says:?}"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    refused("\nfrobnicate = 1", "line 2: frobnicate: unknown setting");
    refused("config = \"x\"", "line 1: config: unknown setting");
    refused(
        "poll = \"1s\"\ndeadline = \"soon\"",
        "line 2: deadline: invalid value \"soon\"",
    );
    refused(
        "deadline = \"100000000y\"",
        "line 1: deadline: invalid value",
    );
    refused(
        "deadline = \"1s\"\n\n[breaker]\nfailures = 0",
        "line 4: breaker.failures: expected 1 to 1000000, found 0",
    );
    refused(
        "breaker-failures = -1",
        "line 1: breaker-failures: invalid value \"-1\"",
    );
    refused(
        "breaker-failures = 3\nbreaker_failures = 4",
        "line 2: breaker-failures is set twice",
    );
    refused(
        "deadline = [\"1s\", \"2s\"]",
        "line 1: deadline: expected one value, found 2",
    );
    refused("deadline = 1979-05-27", "line 1: deadline: expected a text");
    refused("deadline =", "line 1");
    refused("log-format = \"xml\"", "expected one of");
    refused(
        "backoff-least = \"30s\"\nbackoff-most = \"10s\"",
        "reload.backoff_most: expected no less",
    );
    refused(
        "deadline = \"3m\"\ndrain = \"4m\"",
        "breaker.probe_lease: expected longer than deadline, found 120s with a deadline of 180s",
    );
    refused(
        "vetting-memory = 1",
        "line 1: vetting.address_space: expected at least",
    );
}

#[tokio::test]
async fn a_flag_is_over_the_file() {
    let models = Models::cole_kripke();
    let file = models.root().join("clarity.toml");
    let text = "# limits\nbody_limit = 10\n\n[log]\nformat = \"json\"\n[backoff]\nleast = \"2s\"\nmost = \"300s\"\n";
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let serving = Serving::start(models.root(), &["--config", path]);
    serving.until(413).await;
    let serving = Serving::start(models.root(), &["--config", path, "--body-limit", "100000"]);
    assert_eq!(serving.until(200).await, SHORT_ANSWER);
}

/// The address of the file is none of this machine's (RFC 5737); listening comes before looking for models.
#[test]
fn the_environment_is_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clarity.toml");
    fs::write(&file, "listen = \"192.0.2.1:1\"").unwrap();
    let said = |listen: Option<&str>| {
        let mut command = clarity();
        command
            .args(["serve", "--models"])
            .arg(dir.path().join("none"));
        command.env("CLARITY_CONFIG", &file);
        if let Some(listen) = listen {
            command.env("CLARITY_LISTEN", listen);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(
        said(None).contains("cannot listen on 192.0.2.1:1"),
        "{}",
        said(None)
    );
    let over = said(Some("127.0.0.1:0"));
    assert!(over.contains("cannot read the models directory"), "{over}");
}
