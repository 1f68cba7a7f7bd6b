//! The system calls of ONNX Runtime: it opens no socket, writes no file and leaves no thread.

use std::fs;
use std::path::Path;
use std::process::Command;

use clarity::Digest;

use super::onnxruntime::library_path;
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

/// A call of a thread.
struct TracedCall {
    thread: String,
    call: String,
}

/// Loads the library and runs a model, under strace. Returns the traced calls.
fn trace(library: &Path, log: &Path) -> Vec<TracedCall> {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-e", CALLS, "-o"])
        .arg(log)
        .args([CLARITY, "load-library", "--onnxruntime"])
        .arg(library)
        .arg("--onnxruntime-sha256")
        .arg(Digest::of(&fs::read(library).unwrap()).to_string())
        .env_remove("ORT_DISABLE_TELEMETRY")
        // ONNX Runtime sends nothing with these variables, either.
        .env_remove("CI")
        .env_remove("ORT_RUNNING_UNIT_TESTS");
    let output = strace.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
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
    let traced = trace(&library, &directory.path().join("calls"));
    let calls: Vec<&str> = traced.iter().map(|traced| &*traced.call).collect();
    // The program executes itself once more, with the variable.
    let executions = calls.iter().filter(|call| call.starts_with("execve("));
    assert_eq!(executions.count(), 2);
    let effects: Vec<&&str> = calls.iter().filter(|call| is_effect(call)).collect();
    assert!(effects.is_empty(), "{effects:#?}");
    // The library was loaded from memory, and the answer was printed.
    let position = |begin: &str| calls.iter().position(|call| call.starts_with(begin));
    let is_memory = |call: &&&str| call.contains("/proc/self/fd/");
    assert!(calls.iter().any(|call| is_memory(&call)), "{calls:#?}");
    let answered = position("write(1, \"1.").expect("the version was printed");
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
