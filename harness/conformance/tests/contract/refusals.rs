//! A sandbox that cannot be had says so once, with the cause and the remedy.

use super::host_environment::are_containers_possible;
use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::RunOutput;

/// The calls that Docker's default seccomp profile refuses to a process without `CAP_SYS_ADMIN`.
const OF_DOCKER: &str = "unshare,mount,mount_setattr";
const EPERM: &str = "1";
const ENOSYS: &str = "38";

const FILTERED: &str = env!("CARGO_BIN_EXE_filtered");

/// A container in which a shell has run this script as root. Root then drops its capabilities,
/// except the one that a new user namespace of root needs.
fn container(script: &str) -> Vec<String> {
    let drop = r#"exec setpriv --inh-caps=-all --bounding-set=-all,+setfcap "$0" "$@""#;
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
    ];
    let words = words.map(str::to_owned).into_iter();
    words.chain([format!("{script} && {drop}")]).collect()
}

fn filtered(errno: &str, calls: &str) -> Vec<String> {
    [FILTERED, errno, calls].map(str::to_owned).to_vec()
}

fn run(wrapper: Vec<String>) -> RunOutput {
    suite()
        .within(wrapper)
        .run(["--exact", "tags::model", "--sandbox", "all"])
}

/// Asserts that the header has one remedy, which contains these words.
#[track_caller]
fn assert_remedy(ran: &RunOutput, words: &[&str]) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let (header, _) = ran.stdout.split_once("\nrunning ").unwrap();
    assert_eq!(header.matches("remedy: ").count(), 1, "{header}");
    let (_, remedy) = header.split_once("remedy: ").unwrap();
    for word in words {
        assert!(remedy.contains(word), "{word}: {header}");
    }
    assert_eq!(
        header.matches("no user, PID namespaces").count(),
        1,
        "{header}"
    );
}

#[test]
fn complete_sandbox_needs_no_remedy() {
    let ran = suite().run(["--exact", "tags::model", "--sandbox", "all"]);
    let sandbox = &ran.records["tags::model"].sandbox;
    let has_remedy = ran.stdout.contains("remedy: ");
    assert_eq!(has_remedy, sandbox.missing().count() > 0, "{}", ran.stdout);
}

#[test]
fn exhausted_limit_of_user_namespaces_has_a_remedy() {
    if !are_containers_possible() {
        return;
    }
    let ran = run(container("echo 0 > /proc/sys/user/max_user_namespaces"));
    let remedy = "user.max_user_namespaces is 0: raise it, for example with `sudo sysctl -w user.max_user_namespaces=15000`";
    assert_remedy(&ran, &[remedy]);
}

#[test]
fn seccomp_profile_of_docker_has_a_remedy() {
    let ran = run(filtered(EPERM, OF_DOCKER));
    let words = [
        "a seccomp filter refuses system calls here, as Docker's default profile does",
        "--security-opt seccomp=unconfined",
        "seccompProfile",
    ];
    assert_remedy(&ran, &words);
    let sandbox = &ran.records["tags::model"].sandbox;
    assert!(
        !sandbox.network.enforced && !sandbox.metadata.enforced,
        "{sandbox:?}"
    );
}

#[test]
fn kernel_without_a_call_refuses_and_the_run_goes_on() {
    let ran = run(filtered(ENOSYS, "unshare,landlock_create_ruleset"));
    assert_remedy(&ran, &["a seccomp filter"]);
    let sandbox = &ran.records["tags::model"].sandbox;
    assert!(!sandbox.files.enforced, "{sandbox:?}");
}

#[test]
fn restriction_of_apparmor_has_a_remedy() {
    if !are_containers_possible() {
        return;
    }
    let file = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    let mut wrapper = container(&format!(
        "mount -t tmpfs none /proc/sys/kernel && echo 1 > {file}"
    ));
    wrapper.extend(filtered(EPERM, "unshare"));
    let remedy = "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, for example with `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`";
    assert_remedy(&run(wrapper), &[remedy]);
}

#[test]
fn switch_of_debian_has_a_remedy() {
    if !are_containers_possible() {
        return;
    }
    let file = "/proc/sys/kernel/unprivileged_userns_clone";
    let mut wrapper = container(&format!(
        "mount -t tmpfs none /proc/sys/kernel && echo 0 > {file}"
    ));
    wrapper.extend(filtered(EPERM, "unshare"));
    assert_remedy(&run(wrapper), &["kernel.unprivileged_userns_clone is 0"]);
}

#[test]
fn covered_parts_of_proc_have_a_remedy() {
    if !are_containers_possible() {
        return;
    }
    let ran = run(container("mount -t tmpfs none /proc/sys/kernel"));
    let (header, _) = ran.stdout.split_once("\nrunning ").unwrap();
    assert!(
        header.contains("remedy: parts of /proc are covered"),
        "{header}"
    );
    assert!(
        header.contains("--security-opt systempaths=unconfined"),
        "{header}"
    );
    assert!(!ran.records["tags::model"].sandbox.processes.enforced);
}

#[test]
fn required_sandbox_fails_with_the_same_remedy() {
    let suite = suite().within(filtered(EPERM, OF_DOCKER));
    let ran = suite.run([
        "--exact",
        "tags::model",
        "--sandbox",
        "all",
        "--require-sandbox",
    ]);
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(printed.matches("remedy: ").count(), 1, "{printed}");
}

/// The kernel refuses to read the memory of a process that cannot be dumped, as it does for every
/// process under such a scope. A file in the place of the setting has the scope.
#[test]
fn ptrace_scope_that_hides_processes_has_a_remedy() {
    if !are_containers_possible() {
        return;
    }
    let yama = "/proc/sys/kernel/yama";
    let script = format!(
        "mount -t tmpfs none /proc/sys/kernel && mkdir {yama} && echo 2 > {yama}/ptrace_scope"
    );
    let test = "hidden_processes::explored_operation_is_not_dumpable";
    let suite = suite().within(container(&script));
    let ran = suite.run(["--exact", test, "--sandbox", "none"]);
    let verdict = &ran.records[test].verdict;
    let Verdict::Skipped { reason } = verdict else {
        panic!("{verdict:?}");
    };
    let remedy = "kernel.yama.ptrace_scope is 2; set it to 1, for example with `sysctl -w kernel.yama.ptrace_scope=1`";
    assert!(reason.contains(remedy), "{reason}");
}
