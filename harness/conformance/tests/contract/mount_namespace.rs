//! Runs a suite in a mount namespace, for file systems that are small or read-only.

use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::skip;
use std::process::Command;

const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

/// Makes the suite run in a mount namespace: `script` runs in a shell, and `"$@"` is the suite's
/// command. Returns `None` and reports the test as skipped if this machine refuses the namespace.
pub(super) fn within(suite: Suite, script: &str) -> Option<Suite> {
    let mut probe = Command::new(UNSHARE[0]);
    let possible = probe.args(&UNSHARE[1..]).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        skip("user namespaces are not allowed");
        return None;
    }
    let shell = ["sh", "-euc", script, "sh"];
    Some(suite.within(UNSHARE.into_iter().chain(shell)))
}
