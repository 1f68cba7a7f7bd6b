#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod behind_end;
mod changes;
mod content;
mod durable;
mod durable_bytes;
mod fewer_losses;
mod file_events;
mod file_system;
mod journal;
mod lengths;
mod links;
mod log_tree;
mod mapped_stores;
mod metadata;
mod names;
mod power_loss;
mod prefixes;
mod renames;
mod replay;
mod representatives;
mod sector;
mod snapshot;
mod sparse_bytes;
mod states;
mod unit;

pub use file_system::NodeId;
pub use journal::{Journal, SyncKind};
pub use power_loss::PowerLoss;
pub use replay::Replay;
pub use snapshot::{Entry, File, Snapshot, SnapshotBuilder};
pub use sparse_bytes::SparseBytes;
pub use states::{Choice, Representatives, SECTOR_SIZE, State, States};
