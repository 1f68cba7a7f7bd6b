#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod content;
mod durable;
mod durable_bytes;
mod file_system;
mod journal;
mod lengths;
mod mapped_stores;
mod metadata;
mod power_loss;
mod replay;
mod representatives;
mod snapshot;
mod states;

pub use file_system::NodeId;
pub use journal::{Journal, SyncKind};
pub use mapped_stores::UnknownLength;
pub use power_loss::PowerLoss;
pub use replay::Replay;
pub use snapshot::{Entry, File, Snapshot, SnapshotBuilder};
pub use states::{Choice, SECTOR_SIZE, State, States};
