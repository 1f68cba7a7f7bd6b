#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod captured_output;
mod clock_kind;
mod event;
mod fault_plan;
#[cfg(test)]
mod golden;
mod hung_thread;
mod isolation;
mod leaks;
mod limits;
mod oracle;
mod oracle_counts;
mod read_error;
mod record;
mod results;
mod sandbox;
mod seed;
mod seed_range;
mod seen_oracle;
mod shard;
mod test_tally;
mod verdict;

pub use captured_output::CapturedOutput;
pub use clock_kind::ClockKind;
pub use event::{BodyEnd, Event, EventKind, ExploredCall, read_timeline};
pub use fault_plan::{PlannedFault, UndoOutcome};
pub use hung_thread::HungThread;
pub use isolation::Isolation;
pub use leaks::Leaks;
pub use limits::Limits;
pub use oracle::{OracleId, OracleKind};
pub use oracle_counts::{Exercised, OracleCounts};
pub use read_error::ReadError;
pub use record::{FailedAttempt, Minimized, Record, Resources};
pub use results::{Results, TestName};
pub use sandbox::{Enforcement, Sandbox};
pub use seed::Seed;
pub use seed_range::SeedRange;
pub use seen_oracle::SeenOracle;
pub use shard::Shard;
pub use test_tally::{KEPT_FAILURES, TestTally};
pub use verdict::Verdict;
