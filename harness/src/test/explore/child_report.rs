//! The report of a child process that has ended.

use rustix::process::WaitStatus;

/// The maximum length of a child's report, in bytes. The socket can buffer a report of this length
/// until the parent reads the report.
pub(super) const MAX_REPORT: usize = 32 << 10;

/// The way in which a child process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChildEnd {
    /// The child's `work` returned this result.
    Returned(Result<(), String>),
    Panicked(String),
    /// The process ended without a report.
    Died(String),
    /// The child sent the backtrace that the parent had requested.
    Located(String),
}

/// The report of a child process that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChildReport {
    pub(super) end: ChildEnd,
    pub(super) remains: Remains,
}

/// The parts of a child that can still act after the child's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// The child only exits, and has no other threads, descriptors or children.
    Nothing,
    /// The child itself, until it has ended.
    Process,
    /// Also processes that the child can have left behind.
    Descendants,
}

/// The first character of a report after which nothing can act.
const NOTHING: char = 'n';

/// The first character of a report of a child that leaves no processes behind.
const ALONE: char = 'a';

// The possible next characters of a report. This character shows how the child ended.
const RETURNED: char = 'r';
const FAILED: char = 'f';
const PANICKED: char = 'p';
const DIED: char = 'd';
pub(super) const LOCATED: char = 'l';

impl ChildReport {
    /// Makes the report of a child that cannot send one itself.
    pub(super) fn died(how: String) -> Self {
        Self {
            end: ChildEnd::Died(how),
            remains: Remains::Descendants,
        }
    }

    /// Makes the report of a child with this status that has sent this text. The text is empty if
    /// it has sent none.
    pub(super) fn of(text: &str, status: Option<WaitStatus>) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::died(describe(status)))
    }

    /// Reads what [`to_text`](Self::to_text) has made. Returns `None` for an unknown text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, remains) = match text.chars().next()? {
            NOTHING => (&text[1..], Remains::Nothing),
            ALONE => (&text[1..], Remains::Process),
            _ => (text, Remains::Descendants),
        };
        let mut parts = text.chars();
        let kind = parts.next()?;
        let message = parts.as_str().to_owned();
        let end = match kind {
            RETURNED => ChildEnd::Returned(Ok(())),
            FAILED => ChildEnd::Returned(Err(message)),
            PANICKED => ChildEnd::Panicked(message),
            DIED => ChildEnd::Died(message),
            LOCATED => ChildEnd::Located(message),
            _ => return None,
        };
        Some(Self { end, remains })
    }

    /// Gives the text for [`parse`](Self::parse), cut to [`MAX_REPORT`] bytes.
    pub(super) fn to_text(&self) -> String {
        let (kind, message) = match &self.end {
            ChildEnd::Returned(Ok(())) => (RETURNED, ""),
            ChildEnd::Returned(Err(message)) => (FAILED, message.as_str()),
            ChildEnd::Panicked(message) => (PANICKED, message.as_str()),
            ChildEnd::Died(message) => (DIED, message.as_str()),
            ChildEnd::Located(message) => (LOCATED, message.as_str()),
        };
        let mut text = String::new();
        text.extend(match self.remains {
            Remains::Nothing => Some(NOTHING),
            Remains::Process => Some(ALONE),
            Remains::Descendants => None,
        });
        text.push(kind);
        let mut cut = message.len().min(MAX_REPORT - text.len());
        while !message.is_char_boundary(cut) {
            cut -= 1;
        }
        text.push_str(&message[..cut]);
        text
    }
}

/// Describes the end of a process with this status.
pub(super) fn describe(status: Option<WaitStatus>) -> String {
    let Some(status) = status else {
        return "it ended".to_owned();
    };
    match (status.terminating_signal(), status.exit_status()) {
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, Some(code)) => format!("it exited with {code}"),
        (None, None) => "it ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_survives_its_text() {
        let message = || "a message: \u{e4}".to_owned();
        let ends = [
            ChildEnd::Returned(Ok(())),
            ChildEnd::Returned(Err(message())),
            ChildEnd::Panicked(message()),
            ChildEnd::Died(message()),
            ChildEnd::Located(message()),
        ];
        for end in ends {
            for remains in [Remains::Nothing, Remains::Process, Remains::Descendants] {
                let end = end.clone();
                let report = ChildReport { end, remains };
                assert_eq!(ChildReport::parse(&report.to_text()), Some(report));
            }
        }
        assert_eq!(ChildReport::parse(""), None);
        assert_eq!(ChildReport::parse("?"), None);
    }

    #[test]
    fn long_report_is_cut_at_a_character() {
        let report = ChildReport {
            end: ChildEnd::Panicked("\u{e4}".repeat(MAX_REPORT)),
            remains: Remains::Process,
        };
        let text = report.to_text();
        assert!((MAX_REPORT - 3..=MAX_REPORT).contains(&text.len()));
    }
}
