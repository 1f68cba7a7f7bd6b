//! Plain data: what the layers above hand to each other, and what a run leaves for readers.

pub(crate) mod case;
pub(crate) mod clock_kind;
pub(crate) mod confinement;
pub(crate) mod duration;
pub(crate) mod ending;
pub(crate) mod event;
pub(crate) mod fault_plan;
pub(crate) mod hung;
pub(crate) mod isolation;
pub(crate) mod limits;
pub(crate) mod oracle_counts;
pub(crate) mod record;
pub(crate) mod restriction;
pub(crate) mod results;
pub(crate) mod sandbox;
pub(crate) mod seed;
pub(crate) mod seeds;
pub(crate) mod shard;
pub(crate) mod verdict;
