//! A fault in effect that acts on the messages of HTTP/1.1.

use super::head::ResponseHead;
use super::head_piece::HeadPiece;
use super::message_choice::MessageChoice;
use super::reason_phrase::reason_phrase;
use std::time::Duration;

/// A fault in effect that acts on the messages of HTTP/1.1.
#[derive(Debug)]
pub(crate) enum HttpCondition {
    Status {
        choice: MessageChoice,
        replacement: Replacement,
    },
    /// Ends the connection after at most `after` bytes of a response's content, and before the end
    /// of the body.
    TruncatedBody { choice: MessageChoice, after: u64 },
    /// Delays each piece of a head by `delay`, after the piece before.
    SlowHead {
        choice: MessageChoice,
        delay: Duration,
        piece: HeadPiece,
    },
}

/// A response in place of the server's response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacement {
    pub(crate) status: u16,
    /// The value of the header field `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
}

impl HttpCondition {
    /// Whether the fault can act on no further message.
    pub(in crate::test::network) fn is_over(&self) -> bool {
        let (Self::Status { choice, .. }
        | Self::TruncatedBody { choice, .. }
        | Self::SlowHead { choice, .. }) = self;
        choice.is_over()
    }

    /// The kind of the fault, as plans name it.
    pub(in crate::test::network) fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "http_status",
            Self::TruncatedBody { .. } => "http_truncated_body",
            Self::SlowHead { .. } => "http_slow_head",
        }
    }
}

impl Replacement {
    /// Returns the head and the body in place of a response. The body is of the same length for
    /// each request, and empty where the request allows no body.
    pub(in crate::test::network) fn render(self, original: &ResponseHead) -> (Vec<u8>, Vec<u8>) {
        let Self {
            status,
            retry_after,
        } = self;
        let reason = reason_phrase(status);
        let body = format!("{status} {reason}: injected by the fault `http_status`\n");
        let mut head = format!(
            "HTTP/1.{} {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n",
            original.minor,
            body.len()
        );
        if let Some(seconds) = retry_after {
            head += &format!("Retry-After: {seconds}\r\n");
        }
        head += match (original.persists, original.minor) {
            (true, 0) => "Connection: keep-alive\r\n",
            (true, _) => "",
            (false, _) => "Connection: close\r\n",
        };
        head += "\r\n";
        let body = if original.allows_body {
            body
        } else {
            String::new()
        };
        (head.into_bytes(), body.into_bytes())
    }
}
