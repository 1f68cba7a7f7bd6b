//! The test's own resolver, and faults of lookups.

use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::limits::{leave_out, skip};
use clarity_chaos_conformance::{RunOutput, Suite};
use std::os::unix::process::CommandExt as _;

const NOBODY: u32 = 65534;

fn is_skipped(record: &Record) -> bool {
    matches!(record.verdict, Verdict::Skipped { .. })
}

/// Runs the tests as this process's user. Runs them as `NOBODY` too, if this user is root.
fn runs() -> Vec<RunOutput> {
    let arguments = ["names::", "--skip", "killed"];
    let own = suite().run(arguments);
    if !rustix::process::getuid().is_root() {
        return vec![own];
    }
    let suite = suite().for_user(NOBODY);
    let mut command = suite.command();
    command.args(arguments).uid(NOBODY).gid(NOBODY);
    vec![own, suite.run_command(&mut command)]
}

#[test]
fn resolver_answers_and_fails_as_its_faults_say() {
    for ran in runs() {
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.records.len(), 7);
        if ran.records.values().any(is_skipped) {
            skip("this machine has no network and mount namespaces");
            continue;
        }
        let faults = &ran.records["names::spoof"].faults;
        assert_eq!(
            faults[0].description,
            "lookups of db.example answered with 10.9.9.9"
        );
        let faults = &ran.records["names::failure"].faults;
        assert_eq!(faults[0].description, "lookups of one.example failed");
        assert_eq!(faults[1].description, "lookups of all names failed");
    }
}

#[test]
fn resolver_of_a_dead_test_does_not_outlive_it() {
    let order = [
        "names::killed",
        "names::without_resolver",
        "names::known_names",
    ];
    let ran = suite().run(["--exact", "--test-threads", "1"].iter().chain(&order));
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    for test in &order[1..] {
        let record = &ran.records[*test];
        let is_good = record.verdict == Verdict::Passed || is_skipped(record);
        assert!(is_good, "{test}: {:?}", record.verdict);
    }
}

/// The reason why the test of the spoof is skipped.
fn skip_reason(ran: &RunOutput) -> &str {
    match &ran.records["names::spoof"].verdict {
        Verdict::Skipped { reason } => reason,
        verdict => panic!("{verdict:?}: {}", ran.stdout),
    }
}

#[test]
fn resolver_outside_of_the_sandbox_is_skipped_by_name() {
    let ran = suite().run(["--exact", "names::spoof", "--sandbox", "none"]);
    let reason = skip_reason(&ran);
    assert!(reason.contains("namespaces"), "{reason}");
}

/// A suite that finds another `/etc`: a copy of the system's, which `change` has changed. `change`
/// is a shell script in the copy.
fn with_etc(change: &str) -> Suite {
    let suite = suite();
    let etc = suite.tmp().join("etc");
    let script = format!(
        "cp -a /etc '{etc}' && cd '{etc}' && {change} && mount --bind '{etc}' /etc && cd / && \
         exec \"$@\"",
        etc = etc.display()
    );
    suite.within(["unshare", "--mount", "sh", "-c", &script, "sh"])
}

/// The file of many systems is a symlink into `/run`, which the sandbox hides.
#[test]
fn resolver_works_where_resolv_conf_is_a_symlink_into_run() {
    if !rustix::process::getuid().is_root() {
        leave_out("only root can mount another /etc");
        return;
    }
    let suite = with_etc("rm -f resolv.conf && ln -s ../run/stub/resolv.conf resolv.conf");
    let ran = suite.run(["--exact", "names::spoof"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    if is_skipped(&ran.records["names::spoof"]) {
        let reason = skip_reason(&ran);
        assert!(!reason.contains("resolv.conf"), "{reason}");
        skip("this machine has no network and mount namespaces");
    }
}

#[test]
fn resolver_without_a_resolv_conf_is_skipped_by_name() {
    if !rustix::process::getuid().is_root() {
        leave_out("only root can mount another /etc");
        return;
    }
    let ran = with_etc("rm -f resolv.conf").run(["--exact", "names::spoof"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let reason = skip_reason(&ran);
    let is_named = reason.contains("/etc/resolv.conf") || reason.contains("namespaces");
    assert!(is_named, "{reason}");
}
