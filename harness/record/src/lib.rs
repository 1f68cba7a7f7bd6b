//! The record of a chaos test: the JSON document from which every report is made.

#![forbid(unsafe_code)]

mod clock_kind;
mod event;
mod fault_plan;
mod hung_thread;
mod isolation;
mod limits;
mod oracle;
mod oracle_counts;
mod record;
mod results;
mod sandbox;
mod seed;
mod seed_range;
mod shard;
mod verdict;

pub use clock_kind::ClockKind;
pub use event::{BodyEnd, Event, EventKind, ExploredCall, read_timeline};
pub use fault_plan::{PlannedFault, UndoOutcome, describe};
pub use hung_thread::HungThread;
pub use isolation::Isolation;
pub use limits::Limits;
pub use oracle::{OracleId, OracleKind, SeenOracle};
pub use oracle_counts::{Exercised, OracleCounts, seen};
pub use record::{FailedAttempt, Leaks, Minimized, Output, Record, Resources};
pub use results::{KEPT_FAILURES, Results, Tally, TestName};
pub use sandbox::{Enforcement, Sandbox};
pub use seed::Seed;
pub use seed_range::SeedRange;
pub use shard::Shard;
pub use verdict::Verdict;
