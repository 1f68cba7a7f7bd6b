//! The pieces in which a slow sender sends a head.

use serde::{Deserialize, Serialize};

/// The pieces in which a slow sender sends the head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeadPiece {
    /// One line after the other.
    Line,
    /// One byte after the other.
    Byte,
}
