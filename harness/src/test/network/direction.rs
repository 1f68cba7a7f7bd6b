//! The directions of a link.

use serde::{Deserialize, Serialize};

/// A direction of bytes on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to clients.
    ToClient,
    /// Both directions.
    Both,
}

impl Direction {
    pub(super) fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }

    /// The direction in words, for the description of a fault.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ToServer => "to the server",
            Self::ToClient => "to the client",
            Self::Both => "both ways",
        }
    }
}
