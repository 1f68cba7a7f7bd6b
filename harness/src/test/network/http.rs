//! HTTP/1.1 on a connection: the borders of its messages, and the faults that act on messages.
//!
//! A connection has no known framing if the border of a message is uncertain. Examples are TLS,
//! HTTP/2, upgraded connections, and ambiguous or malformed messages.

mod chunk_reader;
mod exchange;
mod framing;
mod head;
mod head_piece;
mod http_condition;
mod http_reader;
mod message_choice;
mod part;
mod reason_phrase;

pub(super) use exchange::{CompleteHead, Exchange, Step};
pub(super) use framing::Framing;
pub(super) use head::ResponseHead;
pub use head_piece::HeadPiece;
pub(crate) use http_condition::{HttpCondition, Replacement};
pub(crate) use message_choice::MessageChoice;
pub(super) use part::Part;
