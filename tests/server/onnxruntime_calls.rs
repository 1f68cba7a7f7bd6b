//! The system calls of ONNX Runtime: it opens no socket, writes no file and starts no thread.

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
        "socket" | "connect" | "sendto" | "sendmsg" | "bind" => true,
        "clone" | "clone3" | "fork" | "vfork" => true,
        "open" | "openat" => ["O_WRONLY", "O_RDWR", "O_CREAT"]
            .iter()
            .any(|flag| call.contains(flag)),
        "creat" | "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "unlink"
        | "unlinkat" | "symlink" | "symlinkat" | "link" | "linkat" | "truncate" | "chmod"
        | "fchmodat" | "utimensat" | "mknod" | "mknodat" => true,
        _ => false,
    }
}

/// Loads the library and runs a model, under strace. Returns the traced calls.
fn trace(library: &Path, log: &Path) -> Vec<String> {
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
    // Each line begins with the number of the process or thread.
    let call = |line: &str| line.split_once(' ').map(|(_, call)| call.trim().to_owned());
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
    let calls = trace(&library, &directory.path().join("calls"));
    // The program executes itself once more, with the variable.
    let executions = calls.iter().filter(|call| call.starts_with("execve("));
    assert_eq!(executions.count(), 2);
    let effects: Vec<&String> = calls.iter().filter(|call| is_effect(call)).collect();
    assert!(effects.is_empty(), "{effects:#?}");
    // The library was loaded from memory, and the answer was printed.
    assert!(
        calls.iter().any(|call| call.contains("/proc/self/fd/")),
        "{calls:#?}"
    );
    assert!(
        calls.iter().any(|call| call.starts_with("write(1, \"1.")),
        "{calls:#?}"
    );
}
