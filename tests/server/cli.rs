//! The command line of the binary: files, signals, exit codes.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use clarity_testbed::*;
use serde_json::Value;

use crate::CLARITY;

fn run(models: &Path, args: &[&str]) -> Output {
    command(CLARITY)
        .args(args)
        .arg("--models")
        .arg(models)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Writes a model file with a space in its name.
fn model_file(dir: &Path, bytes: &[u8]) -> String {
    let path = dir.join("some model.onnx");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn list_and_verify_show_added_versions() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = model_file(dir.path(), MODEL_BYTES);
    for version in ["1", "2"] {
        let added = run(&models, &["add", "sleep", &file]);
        assert_eq!(added.status.code(), Some(0), "{}", stderr(&added));
        assert!(
            stdout(&added).starts_with(&format!("published sleep {version}: 1 file(s), 473 bytes"))
        );
    }
    let added: Value =
        serde_json::from_str(stdout(&run(&models, &["add", "sleep", &file, "--json"]))).unwrap();
    assert_eq!(
        (&added["version"], &added["files"]["model.onnx"]["size"]),
        (&Value::from(3), &Value::from(473))
    );

    let list = run(&models, &["list"]);
    assert_eq!(stdout(&list).lines().count(), 4, "{}", stdout(&list));
    let list: Value = serde_json::from_str(stdout(&run(&models, &["list", "--json"]))).unwrap();
    assert_eq!(list[0]["model"], "sleep");

    assert_eq!(run(&models, &["verify"]).status.code(), Some(0));
    let mut damaged = MODEL_BYTES.to_vec();
    damaged[472] ^= 1;
    fs::write(models.join("sleep/2/model.onnx"), damaged).unwrap();
    let verified = run(&models, &["verify", "sleep"]);
    assert_eq!(verified.status.code(), Some(1));
    let rows: Vec<&str> = stdout(&verified).lines().collect();
    assert!(
        rows[1].ends_with("ok") && rows[2].contains("model_corrupt") && rows[3].ends_with("ok"),
        "{rows:?}"
    );
    let verified: Value =
        serde_json::from_str(stdout(&run(&models, &["verify", "--json"]))).unwrap();
    assert_eq!(
        (&verified[1]["ok"], &verified[1]["file"]),
        (&Value::from(false), &Value::from("model.onnx"))
    );
    assert_eq!(run(&models, &["verify", "nope"]).status.code(), Some(1));
}

#[test]
fn add_refuses_a_broken_model_unless_unchecked() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = model_file(dir.path(), b"not a model");
    let refused = run(&models, &["add", "sleep", &file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("cannot publish sleep: the runtime cannot load the model"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(fs::read_dir(&models).unwrap().count(), 0, "debris is left");
    assert_eq!(
        run(&models, &["add", "sleep", &file, "--no-check"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn concurrent_additions_get_distinct_versions() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = model_file(dir.path(), MODEL_BYTES);
    let add = || {
        command(CLARITY)
            .args(["add", "sleep", &file, "--models"])
            .arg(&models)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<Child> = (0..6).map(|_| add()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let list: Value = serde_json::from_str(stdout(&run(&models, &["list", "--json"]))).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 6);
    assert_eq!(run(&models, &["verify"]).status.code(), Some(0));
}

#[test]
fn invalid_command_line_exits_with_2_and_help_lists_flags() {
    for args in [
        &["frobnicate"][..],
        &["add", "sleep"],
        &["add", "../up", "x.onnx"],
        &["serve", "--deadline", "soon"],
        &[],
    ] {
        assert_eq!(
            command(CLARITY).args(args).output().unwrap().status.code(),
            Some(2),
            "{args:?}"
        );
    }
    let help = command(CLARITY).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("Exit codes:") && stdout(&help).contains("clarity add"));
    let help = command(CLARITY).args(["serve", "--help"]).output().unwrap();
    for flag in [
        "--breaker-failures <N>",
        "[default: 5]",
        "[default: 60s]",
        "--body-limit",
        "--log-format",
    ] {
        assert!(stdout(&help).contains(flag), "{flag}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn serve_refuses_corruption_recovers_and_stops_on_a_signal() {
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 1234);
    let mut serving = ServerProcess::start(CLARITY, models.root(), &["--log-format", "json"]);
    let refused = serving.until("the end of the first load", |response| {
        assert_eq!(response.status, 503);
        response.json()["reason"] != "model_loading"
    });
    let refused = refused.await;
    refused.assert_problem(503, "model_corrupt");
    assert!(refused.retry_after().is_some());
    assert_eq!(
        serving.client.get("/v2/health/live").await.unwrap().status,
        200
    );
    models.flip_bit("1/model.onnx", 1234);
    assert_eq!(serving.until_status(200).await, SHORT_ANSWER);
    models.publish("cole_kripke", MODEL_BYTES);
    serving
        .until("an answer of version 2", |response| {
            response.body.contains(r#""model_version":"2""#)
        })
        .await;

    let pid = serving.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = until_some("the end of the server", async || {
        serving.child.try_wait().unwrap()
    });
    assert_eq!(ended.await.code(), Some(0));
    let mut log = String::new();
    serving
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let refused = events
        .iter()
        .find(|event| event["message"] == "model version refused")
        .unwrap();
    assert_eq!(
        (&refused["level"], &refused["model"], &refused["version"]),
        (&"ERROR".into(), &"cole_kripke".into(), &"1".into())
    );
    assert_eq!(refused["reason"], "model_corrupt");
}

#[test]
fn serve_names_the_reason_of_a_failed_start() {
    let dir = tempfile::tempdir().unwrap();
    let failed = run(
        &dir.path().join("none"),
        &["serve", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        stderr(&failed).contains(dir.path().join("none").to_str().unwrap()),
        "{}",
        stderr(&failed)
    );
    let failed = run(
        dir.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--breaker-failures",
            "0",
        ],
    );
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(
        stderr(&failed).contains("breaker.failures: expected 1 to 1000000, found 0"),
        "{}",
        stderr(&failed)
    );
}

#[test]
fn serve_refuses_an_unreadable_or_short_token() {
    let models = Repository::temporary_with_model();
    let short = models.root().join("token");
    fs::write(&short, "secret\n").unwrap();
    for (file, says) in [
        (models.root().join("none"), "cannot read the token file"),
        (short, "expected a token of 16 or more characters"),
    ] {
        let output = run(
            models.root(),
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-token-file",
                file.to_str().unwrap(),
            ],
        );
        assert_eq!(output.status.code(), Some(1));
        let stderr = stderr(&output);
        assert!(stderr.contains(says), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

/// Reads a terminal until nobody has it open.
#[cfg(target_os = "linux")]
fn read_terminal(master: &std::os::fd::OwnedFd) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = rustix::io::read(master, &mut buffer) {
        all.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn progress_is_shown_on_a_terminal_only() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};

    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = model_file(dir.path(), MODEL_BYTES);
    let commands: [(&[&str], &str); 2] = [(&["add", "m", &file], "vetting"), (&["verify"], "m 1")];
    for (args, says) in commands {
        let piped = run(&models, args);
        assert!(
            piped.status.success() && stderr(&piped).is_empty(),
            "{piped:?}"
        );

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = || {
            let terminal = fs::OpenOptions::new().read(true).write(true).open(&name);
            terminal.unwrap()
        };
        for (json, shown) in [(false, true), (true, false)] {
            let mut command = command(CLARITY);
            command.args(args).arg("--models").arg(&models);
            command.env("TERM", "xterm").env_remove("NO_COLOR");
            if json {
                command.arg("--json");
            }
            let seen = terminal();
            let mut child = command
                .stdin(terminal())
                .stdout(terminal())
                .stderr(terminal())
                .spawn()
                .unwrap();
            drop(command);
            let text = std::thread::scope(|scope| {
                let reading = scope.spawn(|| read_terminal(&master));
                assert!(child.wait().unwrap().success());
                // The reader ends when no process has the terminal any more.
                drop(seen);
                reading.join().unwrap()
            });
            assert_eq!(text.contains("\u{1b}["), shown, "{text:?}");
            assert_eq!(shown && text.contains(says), shown, "{text:?}");
        }
    }
}
