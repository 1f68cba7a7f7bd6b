//! The system calls of ONNX Runtime: it opens no socket, writes no file and leaves no thread.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clarity::Digest;
use clarity_testbed::onnx::{DataType, OPEN, value};
use clarity_testbed::*;

use super::onnxruntime::{library_path, one_node};
use crate::CLARITY;

/// The calls by which a process reaches the network, writes a file, or starts a thread or process.
const CALLS: &str = "trace=network,process,%file,write,writev,pwrite64";

fn has_strace() -> bool {
    // A container can forbid the tracing of processes.
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    let works = traced.is_ok_and(|output| output.status.success());
    if !works {
        println!("SKIPPED: strace is missing, or may not trace");
    }
    works
}

/// Whether a traced call changes something outside of the process.
fn is_effect(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    match name {
        "socket" | "connect" | "sendto" | "sendmsg" | "bind" | "fork" | "vfork" => true,
        "open" | "openat" => ["O_WRONLY", "O_RDWR", "O_CREAT"]
            .iter()
            .any(|flag| call.contains(flag)),
        "creat" | "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "unlink"
        | "unlinkat" | "symlink" | "symlinkat" | "link" | "linkat" | "truncate" | "chmod"
        | "fchmodat" | "utimensat" | "mknod" | "mknodat" => true,
        _ => false,
    }
}

/// Whether a call changes the store, listens on loopback, or sends an answer.
fn is_of_server(call: &str, store: &Path) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    match name {
        "socket" => call.contains("AF_INET, SOCK_STREAM"),
        "bind" => call.contains("127.0.0.1"),
        // The handler of a signal wakes the server with one byte.
        "sendto" => call.contains("HTTP/1.1 ") || call.contains(r#", "\1", 1, "#),
        _ => call.contains(store.to_str().unwrap()),
    }
}

/// A call of a thread.
struct TracedCall {
    thread: String,
    call: String,
}

/// A command of `clarity` with the library, under strace. `-y` shows the paths of descriptors.
fn traced_command(name: &str, library: &Path, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-y", "-e", CALLS, "-o"])
        .arg(log)
        .args([CLARITY, name, "--onnxruntime"])
        .arg(library)
        .arg("--onnxruntime-sha256")
        .arg(Digest::of(&fs::read(library).unwrap()).to_string())
        .env_remove("ORT_DISABLE_TELEMETRY")
        // ONNX Runtime sends nothing with these variables, either.
        .env_remove("CI")
        .env_remove("ORT_RUNNING_UNIT_TESTS");
    strace
}

fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

fn read_calls(log: &Path) -> Vec<TracedCall> {
    let log = fs::read_to_string(log).unwrap();
    let call = |line: &str| {
        let (thread, call) = line.split_once(' ')?;
        let (thread, call) = (thread.to_owned(), call.trim().to_owned());
        Some(TracedCall { thread, call })
    };
    log.lines().filter_map(call).collect()
}

#[test]
fn library_reaches_nothing_outside_of_the_process() {
    let Some(library) = library_path() else {
        return;
    };
    if !has_strace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("calls");
    succeed(traced_command("load-library", &library, &log));
    let traced = read_calls(&log);
    let calls: Vec<&str> = traced.iter().map(|traced| &*traced.call).collect();
    // The program executes itself once more, with the variable.
    let executions = calls.iter().filter(|call| call.starts_with("execve("));
    assert_eq!(executions.count(), 2);
    let effects: Vec<&&str> = calls.iter().filter(|call| is_effect(call)).collect();
    assert!(effects.is_empty(), "{effects:#?}");
    // The library was loaded from memory, and the answer was printed.
    let prints = |call: &&str| call.starts_with("write(1<") && call.contains("\"1.");
    let is_memory = |call: &&&str| call.contains("/proc/self/fd/");
    assert!(calls.iter().any(|call| is_memory(&call)), "{calls:#?}");
    let answered = calls.iter().position(prints);
    let answered = answered.expect("the version was printed");
    // During its load, the library starts a thread that looks at each processor. That thread ends
    // at once.
    let (before, after) = traced.split_at(answered);
    let is_main = |traced: &&TracedCall| traced.thread == before[0].thread;
    let ended = before
        .iter()
        .filter(|traced| traced.call.starts_with("exit("));
    let ended: Vec<&str> = ended.map(|traced| &*traced.thread).collect();
    for other in before.iter().filter(|traced| !is_main(traced)) {
        assert!(ended.contains(&&*other.thread), "{}", other.call);
    }
    assert!(after.iter().all(|traced| is_main(&traced)));
    assert!(ended.len() <= 1, "{ended:?}");
}

/// Publishes and serves a model that ONNX Runtime alone runs. A child process vets it each time.
#[tokio::test]
async fn server_and_vetting_child_reach_only_store_and_clients() {
    let Some(library) = library_path() else {
        return;
    };
    if !has_strace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let [home, store, file] = ["home", "models", "gelu.onnx"].map(path);
    fs::create_dir(&home).unwrap();
    let tensor = |name| value(name, DataType::FLOAT, &[1, OPEN]);
    let gelu = one_node(tensor("activity"), "Gelu", tensor("y"), |node| {
        node.domain = Some("com.microsoft".to_owned());
    });
    fs::write(&file, gelu).unwrap();
    let command = |name: &str, log: &Path| {
        let mut command = traced_command(name, &library, log);
        command.env("HOME", &home).env_remove("XDG_CACHE_HOME");
        command.env("TMPDIR", &home).arg("--models").arg(&store);
        command
    };

    let [added, served] = ["added", "served"].map(path);
    let mut add = command("add", &added);
    add.arg("gelu").arg(&file);
    succeed(add);
    let mut serve = command("serve", &served);
    serve.args(["--listen=127.0.0.1:0", "--drain-delay=0s"]);
    let mut server = ServerProcess::spawn(serve.stderr(Stdio::null()));
    // strace passes no signal on.
    let pid = read_calls(&served)[0].thread.clone();
    let answer = until_answered(&server.client).await;
    let ended = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(ended.unwrap().success());
    until("the end of the server", || {
        server.child.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(answer, 200);

    for log in [&added, &served] {
        let calls = read_calls(log);
        let calls: Vec<&str> = calls.iter().map(|traced| &*traced.call).collect();
        // The command executes itself once more, with the variable, and starts a child.
        let executions = calls.iter().filter(|call| call.starts_with("execve("));
        assert_eq!(executions.count(), 3, "{log:?}");
        let effects = calls.iter().filter(|call| is_effect(call));
        let others: Vec<_> = effects.filter(|call| !is_of_server(call, &store)).collect();
        assert!(others.is_empty(), "{log:?}: {others:#?}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

/// Asks the server until the model does not load any more. Returns the status of the answer.
async fn until_answered(client: &Client) -> u16 {
    until_some("an answer", async || {
        let request = short_request();
        let answer = client.post("/v2/models/gelu/infer", &request);
        let answer = answer.await.unwrap();
        (!answer.body.contains("model_loading")).then_some(answer.status.as_u16())
    })
    .await
}
