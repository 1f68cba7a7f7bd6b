//! The values in the golden file `tests/schema_2.json`.

use super::Golden;
use crate::{
    BodyEnd, CapturedOutput, ClockKind, Enforcement, Event, EventKind, ExploredCall, FailedAttempt,
    HungThread, Isolation, Leaks, Limits, Minimized, OracleCounts, OracleId, OracleKind,
    PlannedFault, Record, Resources, Results, Sandbox, Seed, SeedRange, SeenOracle, Shard,
    TestTally, UndoOutcome, Verdict,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Lists one value for each variant of an enum. A missing variant is a compile error.
macro_rules! variants {
    ($kind:ident { $($variant:ident => $value:expr,)+ }) => {{
        fn _is_complete(value: &$kind) {
            match value {
                $($kind::$variant { .. } => {})+
            }
        }
        vec![$({
            let value = $value;
            assert!(matches!(value, $kind::$variant { .. }));
            value
        }),+]
    }};
}

fn undo_outcomes() -> Vec<UndoOutcome> {
    variants!(UndoOutcome {
        Restored => UndoOutcome::Restored,
        Deferred => UndoOutcome::Deferred,
        Superseded => UndoOutcome::Superseded { found: "a new file".to_owned() },
        NeverApplied => UndoOutcome::NeverApplied { error: "no such file".to_owned() },
        Failed => UndoOutcome::Failed { error: "permission denied".to_owned() },
    })
}

fn body_ends() -> Vec<BodyEnd> {
    variants!(BodyEnd {
        Returned => BodyEnd::Returned,
        Failed => BodyEnd::Failed { message: "it was served".to_owned() },
        Panicked => BodyEnd::Panicked {
            message: "index out of bounds".to_owned(),
            location: Some("src/store.rs:7:5".to_owned()),
        },
        PanickedElsewhere => BodyEnd::PanickedElsewhere { panics: vec!["on a thread".to_owned()] },
        Skipped => BodyEnd::Skipped { reason: "no network".to_owned() },
    })
}

fn oracle_kinds() -> Vec<OracleKind> {
    variants!(OracleKind {
        Always => OracleKind::Always,
        Sometimes => OracleKind::Sometimes,
        Reachable => OracleKind::Reachable,
    })
}

fn verdicts() -> Vec<Verdict> {
    variants!(Verdict {
        Passed => Verdict::Passed,
        Skipped => Verdict::Skipped { reason: "no network".to_owned() },
        Failed => Verdict::Failed { message: "it was served".to_owned() },
        Panicked => Verdict::Panicked { message: "index out of bounds".to_owned(), location: None },
        PanickedElsewhere => Verdict::PanickedElsewhere { panics: vec!["on a thread".to_owned()] },
        TimedOut => Verdict::TimedOut { limit_ms: 10_000 },
        Interrupted => Verdict::Interrupted,
        OutOfMemory => Verdict::OutOfMemory,
        StackOverflow => Verdict::StackOverflow,
        Killed => Verdict::Killed { signal: 9 },
        ExitedEarly => Verdict::ExitedEarly { code: 3 },
        Leaked => Verdict::Leaked { leaked: vec!["thread `worker`".to_owned()] },
        Nondeterministic => Verdict::Nondeterministic { difference: "1, then 2".to_owned() },
        Lost => Verdict::Lost { error: "no space left on the device".to_owned() },
    })
}

fn fault() -> PlannedFault {
    PlannedFault {
        id: 1,
        kind: "bit_flip".to_owned(),
        target: "model.onnx".to_owned(),
        plan: json!({ "bit": 3, "byte": 118 }),
        occurrence: 1,
        description: "bit 3 of byte 118 of model.onnx flipped".to_owned(),
    }
}

fn oracle(kind: OracleKind) -> OracleId {
    OracleId {
        kind,
        message: "a retry succeeds".to_owned(),
        function: "shop::fetch".to_owned(),
        file: "src/fetch.rs".to_owned(),
        line: 7,
    }
}

fn event_kinds() -> Vec<EventKind> {
    variants!(EventKind {
        Started => EventKind::Started,
        Note => EventKind::Note { text: "the cache is cold".to_owned() },
        Measured => EventKind::Measured { text: "loaded in 3 ms".to_owned() },
        Mark => EventKind::Mark { lane: "requests".to_owned(), label: "200 v1".to_owned() },
        Log => EventKind::Log {
            level: "WARN".to_owned(),
            target: "shop::loader".to_owned(),
            message: "version refused".to_owned(),
            fields: BTreeMap::from([("reason".to_owned(), "corrupt".to_owned())]),
        },
        FaultInjected => EventKind::FaultInjected { fault: fault() },
        FaultOmitted => EventKind::FaultOmitted { fault: fault() },
        FaultUndone => EventKind::FaultUndone { fault_id: 1, outcome: UndoOutcome::Restored },
        OracleReached => EventKind::OracleReached {
            oracle: oracle(OracleKind::Always),
            holds: true,
        },
        Explored => EventKind::Explored {
            total_calls: 2,
            points: 1,
            states: 4,
            power_loss: Some("journaled".to_owned()),
            all_states: false,
            possible_states: 52_000,
            recoveries: 3,
            took_us: 800_000,
            several_threads: true,
            breaks_under_posix: Some("before call 2 of 2".to_owned()),
            calls: vec![ExploredCall {
                call: "write of draft".to_owned(),
                points: 1,
                exempt: false,
                invariant_broken: true,
            }],
        },
        Exploring => EventKind::Exploring { progress: "after 3 of about 9 points".to_owned() },
        ClockAdvanced => EventKind::ClockAdvanced { by_us: 2_000_000 },
        WallClockFollows => EventKind::WallClockFollows {
            start: "2030-01-01T00:00:00.000000000Z".to_owned(),
        },
        AutoAdvanced => EventKind::AutoAdvanced {
            by_us: 5_000_000,
            sockets: 2,
            socket: Some("socket:[7], tcp 127.0.0.1:80 to 127.0.0.1:81".to_owned()),
            unread_bytes: 17,
        },
        Blocked => EventKind::Blocked { duration_us: 150_000 },
        Suspended => EventKind::Suspended { duration_us: 12_300_000 },
        Panicked => EventKind::Panicked {
            message: "index out of bounds".to_owned(),
            location: Some("src/store.rs:7:5".to_owned()),
            expected: true,
        },
        Skipped => EventKind::Skipped { reason: "no network".to_owned() },
        LeakAllowed => EventKind::LeakAllowed { pattern: "worker".to_owned() },
        TerminationRequested => EventKind::TerminationRequested,
        Leaked => EventKind::Leaked {
            threads: vec!["worker".to_owned()],
            descriptors: vec!["9: /tmp/lock".to_owned()],
        },
        Finished => EventKind::Finished {
            end: BodyEnd::Returned,
            cpu_us: Some(2_083),
            omitted_events: 5,
        },
        Unknown => EventKind::Unknown,
    })
}

/// Returns at least one event of each kind. The events contain each variant of `UndoOutcome`,
/// `OracleKind` and `BodyEnd`.
fn timeline() -> Vec<Event> {
    let mut kinds = event_kinds();
    let outcomes = undo_outcomes().into_iter();
    kinds.extend(outcomes.map(|outcome| EventKind::FaultUndone {
        fault_id: 1,
        outcome,
    }));
    let oracles = oracle_kinds().into_iter().map(oracle);
    kinds.extend(oracles.map(|oracle| EventKind::OracleReached {
        oracle,
        holds: false,
    }));
    kinds.extend(body_ends().into_iter().map(|end| EventKind::Finished {
        end,
        cpu_us: None,
        omitted_events: 0,
    }));
    let event = |(place, kind): (u64, EventKind)| Event {
        at_us: 100 + place,
        virtual_us: (place > 0).then_some(place * 1_000),
        thread: "main".to_owned(),
        kind,
    };
    (0..).zip(kinds).map(event).collect()
}

fn output() -> CapturedOutput {
    CapturedOutput {
        text: "loaded\n".to_owned(),
        total_bytes: 1_007,
        omitted_bytes: 1_000,
    }
}

fn record() -> Record {
    let enforcement = |mechanism: &str| Enforcement {
        enforced: true,
        detail: mechanism.to_owned(),
    };
    Record {
        schema: Record::SCHEMA,
        name: "loader::flipped_bit_is_refused".to_owned(),
        module: "chaos::loader".to_owned(),
        tags: vec!["non_destructive".to_owned()],
        description: "A weight file with one flipped bit is refused.".to_owned(),
        file: "chaos_tests/loader.rs".to_owned(),
        line: 12,
        root_seed: Seed::new(u64::MAX),
        seed: Seed::new(6_393_857_701_258_402_672),
        verdict: Verdict::Panicked {
            message: "it was served".to_owned(),
            location: Some("chaos_tests/loader.rs:20:5".to_owned()),
        },
        failed_attempts: vec![FailedAttempt {
            verdict: Verdict::TimedOut { limit_ms: 10_000 },
            started_at: "2026-02-03T09:59:50.000000Z".to_owned(),
            duration_us: 10_000_000,
            output: output(),
            kept_dir: Some("/tmp/chaos/1".into()),
        }],
        started_at: "2026-02-03T10:00:00.000000Z".to_owned(),
        duration_us: 2_719,
        timeout_ms: 10_000,
        clock: ClockKind::Manual,
        limits: Limits {
            memory_bytes: Some(536_870_912),
            open_files: Some(64),
            cpu_s: Some(10),
        },
        isolation: Isolation::Fork,
        sandbox: Sandbox {
            files: enforcement("Landlock 7"),
            metadata: enforcement("read-only mounts"),
            network: enforcement("network namespace"),
            processes: enforcement("PID namespace"),
            capabilities: enforcement("dropped"),
            containment: Enforcement {
                enforced: false,
                detail: "a thread cannot be ended".to_owned(),
            },
        },
        faults: vec![fault()],
        minimized: Some(Minimized {
            description: "one flipped bit".to_owned(),
            faults: vec![fault()],
            total_faults: 3,
            runs: 8,
            complete: true,
        }),
        unrepeated: Some("the second run passed".to_owned()),
        timeline: timeline(),
        oracles: vec![SeenOracle {
            oracle: oracle(OracleKind::Sometimes),
            held: true,
        }],
        hung_threads: vec![HungThread {
            process: Some("sleep 60".to_owned()),
            thread: "sleep".to_owned(),
            state: "sleeping".to_owned(),
            system_call: Some("read of pipe:[4711]".to_owned()),
            wait_channel: Some("pipe_read".to_owned()),
        }],
        leaks: Leaks {
            processes: vec!["sleep 60".to_owned()],
            threads: vec!["worker".to_owned()],
            descriptors: vec!["9: /tmp/lock".to_owned()],
            files: vec!["/tmp/lock".to_owned()],
            allowed: vec!["thread `pool`".to_owned()],
        },
        resources: Resources {
            cpu_us: Some(2_083),
            peak_memory_bytes: Some(11_681_792),
        },
        output: output(),
        replay_command: "cargo test --test chaos -- --exact loader::flipped_bit_is_refused"
            .to_owned(),
        kept_dir: Some("/tmp/chaos/2".into()),
    }
}

fn results() -> Results {
    let mut seen = Record::new("loader::retries", Seed::new(5), Seed::new(6));
    seen.oracles = vec![SeenOracle::new(oracle(OracleKind::Sometimes), true)];
    let mut oracles = OracleCounts::default();
    oracles.add(&seen);
    let tally = TestTally {
        cases: 4,
        skipped: 1,
        failed: 2,
        failing_seeds: vec![Seed::new(5), Seed::new(7)],
        records: Vec::new(),
    };
    Results {
        schema: Results::SCHEMA,
        suite: "shop chaos".to_owned(),
        seeds: SeedRange::new(Seed::new(5), 12),
        shard: Shard::new(1, 3),
        stop_reason: Some("--max-failures 2".to_owned()),
        oracles,
        tests: BTreeMap::from([("loader::retries".to_owned(), tally)]),
    }
}

/// Builds the expected content of the golden file.
pub(super) fn golden() -> Golden {
    Golden {
        record: record(),
        record_that_has_not_run: Record::new("loader::retries", Seed::new(5), Seed::new(6)),
        verdicts: verdicts(),
        clocks: variants!(ClockKind {
            Real => ClockKind::Real,
            Paused => ClockKind::Paused,
            Manual => ClockKind::Manual,
        }),
        isolations: variants!(Isolation {
            Fork => Isolation::Fork,
            Exec => Isolation::Exec,
            Thread => Isolation::Thread,
        }),
        results: results(),
    }
}
