//! A test that may use so much runs out of it, and the verdict says so.

use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::Ran;
use std::sync::LazyLock;

static RAN: LazyLock<Ran> = LazyLock::new(|| suite().run(["limits::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let name = format!("limits::{test}");
    RAN.records
        .get(&name)
        .unwrap_or_else(|| panic!("{name} has not run: {}", RAN.stderr))
}

#[test]
fn memory_beyond_the_limit_is_refused() {
    let refused = record("refused_allocation");
    assert_eq!(refused.verdict, Verdict::Passed);
    assert_eq!(refused.limits.memory, Some(256 << 20));
    assert_eq!(record("fatal_allocation").verdict, Verdict::OutOfMemory);
}

#[test]
fn descriptors_beyond_the_limit_are_refused_and_the_audit_still_sees() {
    assert_eq!(record("descriptors").verdict, Verdict::Passed);
    let leaked = record("leaked_descriptors");
    assert!(
        matches!(leaked.verdict, Verdict::Leaked { .. }),
        "{leaked:?}"
    );
    assert!(leaked.leaks.descriptors.len() > 10, "{:?}", leaked.leaks);
}

#[test]
fn cpu_time_beyond_the_limit_ends_the_test() {
    const SIGXCPU: i32 = 24;
    let record = record("cpu");
    assert_eq!(record.verdict, Verdict::Killed { signal: SIGXCPU });
    assert!(record.verdict.to_string().contains("CPU time was used up"));
    // Counted by the system, since the test could not tell any more.
    let used = record.resources.cpu_us.unwrap();
    assert!((500_000..10_000_000).contains(&used), "{used} µs");
}
