//! Describes how a paused clock advanced by itself while sockets were open.

use crate::duration::format_milliseconds;
use clarity_chaos_record::{EventKind, Record};

/// Describes an [`EventKind::AutoAdvanced`] and the length of its step. Returns `None` for other
/// kinds.
pub(crate) fn render_auto_advance(kind: &EventKind) -> Option<String> {
    let EventKind::AutoAdvanced { by_us, .. } = kind else {
        return None;
    };
    let step = format_milliseconds(*by_us);
    Some(format!("{}, a step of {step}", describe(kind)?))
}

fn describe(kind: &EventKind) -> Option<String> {
    let EventKind::AutoAdvanced {
        sockets,
        socket,
        unread_bytes,
        ..
    } = kind
    else {
        return None;
    };
    let state = match (socket, sockets) {
        (Some(socket), _) => format!(
            "{socket} had {unread_bytes} unread {}",
            if *unread_bytes == 1 { "byte" } else { "bytes" }
        ),
        (None, 1) => "1 socket was open".to_owned(),
        (None, _) => format!("{sockets} sockets were open"),
    };
    Some(format!("the paused clock advanced by itself while {state}"))
}

/// Returns a hint if the clock of a failed test advanced by itself while sockets were open. Unread
/// bytes come first. Returns `None` if the verdict names the unread bytes already.
pub(crate) fn auto_advance_hint(record: &Record) -> Option<String> {
    let events = record.timeline.iter().map(|event| &event.kind);
    let advances = events.filter(|kind| matches!(kind, EventKind::AutoAdvanced { .. }));
    let has_unread = |kind: &&EventKind| {
        matches!(
            kind,
            EventKind::AutoAdvanced {
                socket: Some(_),
                ..
            }
        )
    };
    let unread = advances.clone().find(has_unread);
    let described = describe(unread.or_else(|| advances.clone().next())?)?;
    if record.verdict.to_string().contains(&described) {
        return None;
    }
    Some(match unread {
        Some(_) => format!(
            "{described}: a timeout can elapse although the answer is there. Use `clock = \"manual\"` or `clock = \"real\"`"
        ),
        None => format!(
            "{described}: it waits for no peer outside of the runtime, but jumps to the next timer; with such peers, use `clock = \"manual\"`"
        ),
    })
}
