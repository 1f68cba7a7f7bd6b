//! The sandbox of workers forbids each attempt to reach out of it.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use clarity::{Runtime, Store, TensorData, Version, WorkerRuntime};
use clarity_testbed::{FakeRuntime, Repository};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_try_sandbox");

/// The number of attempts besides the execution of a program.
const ATTEMPTS: usize = 12;

#[test]
fn every_attempt_out_of_the_sandbox_is_refused() {
    let models = Repository::temporary_with_model();
    let outside = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let stored = models.manifest("cole_kripke", 1);
    let (new, free) = (outside.path().join("new"), outside.path().join("free"));
    let server = std::process::id().to_string();
    let args = [&server, &port, stored.to_str().unwrap()];

    // Without the sandbox, all of it is possible: otherwise the test below would show nothing.
    let free = Command::new(PROGRAM)
        .args(args)
        .args([free.to_str().unwrap(), "free"])
        .output()
        .unwrap();
    assert!(free.status.success());
    let free = String::from_utf8(free.stdout).unwrap();
    assert_eq!(free.lines().count(), ATTEMPTS, "{free}");
    for line in free.lines() {
        // A process without privileges cannot raise its limit, nor trace another one.
        let is_special = ["raise a limit", "open the server's files"]
            .iter()
            .any(|special| line.starts_with(special));
        assert!(is_special || line.ends_with(": allowed"), "{line}");
    }

    let args = [args[0], args[1], args[2], new.to_str().unwrap()];
    let runtime = WorkerRuntime::new(Arc::new(FakeRuntime::new("trying")), PROGRAM, &args);
    let store = Store::new(models.root());
    let version = store
        .open(&"cole_kripke".parse().unwrap(), Version::FIRST)
        .unwrap();
    let session = runtime.load(version).unwrap();
    let outputs = session.run(Vec::new()).unwrap();
    let TensorData::Bytes(lines) = outputs[0].data() else {
        panic!("lines");
    };
    assert_eq!(lines.len(), ATTEMPTS + 1);
    for line in lines.iter() {
        let line = String::from_utf8_lossy(line);
        assert!(line.ends_with(": permission denied"), "{line}");
    }
    assert!(!new.exists());
}
