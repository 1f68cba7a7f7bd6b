//! Tests of `clarity serve --config FILE`.

use clarity_testbed::*;
use std::fs;

use crate::CLARITY;

/// Asserts that `serve` refuses a configuration file of this text, with a message that contains
/// `says`.
#[track_caller]
fn assert_refused(text: &str, says: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clarity.toml");
    fs::write(&file, text).unwrap();
    let mut command = command(CLARITY);
    command.args(["serve", "--listen", "127.0.0.1:0", "--models"]);
    command
        .arg(dir.path().join("none"))
        .arg("--config")
        .arg(&file);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}: {stderr}");
    assert!(stderr.contains("clarity.toml: "), "{stderr}");
    assert!(
        stderr.contains(says),
        "{text}: {stderr:?} does not say {says:?}"
    );
}

#[test]
fn invalid_setting_is_refused_with_its_line() {
    assert_refused("\nfrobnicate = 1", "line 2: frobnicate: unknown setting");
    assert_refused("config = \"x\"", "line 1: config: unknown setting");
    assert_refused(
        "poll = \"1s\"\ndeadline = \"soon\"",
        "line 2: deadline: invalid value \"soon\"",
    );
    assert_refused(
        "deadline = \"100000000y\"",
        "line 1: deadline: invalid value",
    );
    assert_refused(
        "deadline = \"1s\"\n\n[breaker]\nfailures = 0",
        "line 4: breaker.failures: expected 1 to 1000000, found 0",
    );
    assert_refused(
        "breaker-failures = -1",
        "line 1: breaker-failures: invalid value \"-1\"",
    );
    assert_refused(
        "breaker-failures = 3\nbreaker_failures = 4",
        "line 2: breaker-failures is set twice",
    );
    assert_refused(
        "deadline = [\"1s\", \"2s\"]",
        "line 1: deadline: expected one value, found 2",
    );
    assert_refused(
        "deadline = 1979-05-27",
        "line 1: deadline: expected a string",
    );
    assert_refused("deadline =", "line 1");
    assert_refused("log-format = \"xml\"", "expected one of");
    assert_refused(
        "backoff-least = \"30s\"\nbackoff-most = \"10s\"",
        "reload.backoff_most: expected no less",
    );
    assert_refused(
        "deadline = \"3m\"\nbreaker-probe-lease = \"2m\"",
        "breaker.probe_lease: expected longer than deadline, found 120s with a deadline of 180s",
    );
    assert_refused(
        "vetting-memory = 1",
        "line 1: vetting.address_space: expected at least",
    );
}

#[tokio::test]
async fn flag_overrides_the_file() {
    let models = Repository::temporary_with_model();
    let file = models.root().join("clarity.toml");
    let text = "# limits\nbody_limit = 10\n\n[log]\nformat = \"json\"\n[backoff]\nleast = \"2s\"\nmost = \"300s\"\n";
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let serving = ServerProcess::start(CLARITY, models.root(), &["--config", path]);
    serving.until_status(413).await;
    let serving = ServerProcess::start(
        CLARITY,
        models.root(),
        &["--config", path, "--body-limit", "100000"],
    );
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
}

/// No machine has the address in the file (RFC 5737). The server starts to listen before it looks
/// for models.
#[test]
fn environment_overrides_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clarity.toml");
    fs::write(&file, "listen = \"192.0.2.1:1\"").unwrap();
    let stderr = |listen: Option<&str>| {
        let mut command = command(CLARITY);
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
        stderr(None).contains("cannot listen on 192.0.2.1:1"),
        "{}",
        stderr(None)
    );
    let over = stderr(Some("127.0.0.1:0"));
    let models = dir.path().join("none");
    assert!(over.contains(models.to_str().unwrap()), "{over}");
}
