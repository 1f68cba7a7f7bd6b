//! Limits of memory, descriptors and processor time.

use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use std::sync::LazyLock;

static RUN: LazyLock<RunOutput> =
    LazyLock::new(|| suite().run(["limits::", "--keep-dirs", "never"]));

fn record(test: &str) -> &'static Record {
    let name = format!("limits::{test}");
    RUN.records
        .get(&name)
        .unwrap_or_else(|| panic!("{name} has not run: {}", RUN.stderr))
}

#[test]
fn memory_beyond_the_limit_is_refused() {
    let refused = record("refused_allocation");
    assert_eq!(refused.verdict, Verdict::Passed);
    assert_eq!(refused.limits.memory_bytes, Some(256 << 20));
    assert_eq!(record("fatal_allocation").verdict, Verdict::OutOfMemory);
}

#[test]
fn descriptors_beyond_the_limit_are_refused_and_audited() {
    assert_eq!(record("descriptors").verdict, Verdict::Passed);
    let leaked = record("leaked_descriptors");
    assert!(
        matches!(leaked.verdict, Verdict::Leaked { .. }),
        "{leaked:?}"
    );
    let count = leaked.leaks.descriptors.len();
    assert!((11..32).contains(&count), "{:?}", leaked.leaks);
}

#[test]
fn cpu_time_beyond_the_limit_ends_the_test() {
    const SIGXCPU: i32 = 24;
    let record = record("cpu");
    assert_eq!(record.verdict, Verdict::Killed { signal: SIGXCPU });
    assert!(record.verdict.to_string().contains("CPU time was used up"));
    // A killed test cannot report its processor time, so the number comes from the kernel.
    let used = record.resources.cpu_us.unwrap();
    assert!((500_000..10_000_000).contains(&used), "{used} µs");
}
