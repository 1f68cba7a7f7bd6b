//! Faults of a [`Process`](crate::test::process::Process).

mod kill;
mod pause;

pub use kill::{Kill, KillPlan};
pub use pause::{Pause, PausePlan};
