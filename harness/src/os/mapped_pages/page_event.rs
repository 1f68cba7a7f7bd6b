//! Announcements of a process that protects its mapped pages.

use super::PAGE;

/// The fourth argument of an announcement by `mprotect`, which has three arguments.
const MARK: u64 = 0x6d61_7070_6564_5f31;

/// The fifth arguments.
const OPENS: u64 = 1;
const OPENS_BESIDE: u64 = 2;
const PROTECTS: u64 = 3;

/// The offsets of announcements by `sync_file_range`. No file is as long, and no descriptor is -1.
const CLOSED: u64 = i64::MAX as u64 - 0xAD;
const STEPPED: u64 = i64::MAX as u64 - 0xAE;

/// An announcement, which waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageEvent {
    /// This page becomes writable, and no other page is writable.
    Opens(u64),
    /// This page becomes writable, beside the page that was writable before. The thread executes
    /// one instruction, then announces [`Stepped`](Self::Stepped).
    OpensBeside(u64),
    /// This page was writable, and no longer is after the call.
    Protects(u64),
    /// The thread has executed one instruction. This page, which was writable beside another one,
    /// is protected.
    Stepped(u64),
    /// No page is writable.
    Closed,
}

impl PageEvent {
    /// Gives the number and the arguments of the call that announces the event.
    pub(crate) fn call(self) -> (i64, [u64; 6]) {
        let (read, write) = (libc::PROT_READ as u64, libc::PROT_WRITE as u64);
        match self {
            Self::Opens(page) => (
                libc::SYS_mprotect,
                [page, PAGE, read | write, MARK, OPENS, 0],
            ),
            Self::OpensBeside(page) => (
                libc::SYS_mprotect,
                [page, PAGE, read | write, MARK, OPENS_BESIDE, 0],
            ),
            Self::Protects(page) => (libc::SYS_mprotect, [page, PAGE, read, MARK, PROTECTS, 0]),
            Self::Stepped(page) => (
                libc::SYS_sync_file_range,
                [u64::from(u32::MAX), STEPPED, page, 0, 0, 0],
            ),
            Self::Closed => (
                libc::SYS_sync_file_range,
                [u64::from(u32::MAX), CLOSED, 0, 0, 0, 0],
            ),
        }
    }

    /// Gives the event that this call announces, if any.
    pub(crate) fn announced(number: i64, arguments: &[u64; 6]) -> Option<Self> {
        let [first, second, third, mark, kind, _] = *arguments;
        match number {
            libc::SYS_mprotect if mark == MARK => match kind {
                OPENS => Some(Self::Opens(first)),
                OPENS_BESIDE => Some(Self::OpensBeside(first)),
                PROTECTS => Some(Self::Protects(first)),
                _ => None,
            },
            libc::SYS_sync_file_range if first & 0xffff_ffff == 0xffff_ffff => match second {
                STEPPED => Some(Self::Stepped(third)),
                CLOSED => Some(Self::Closed),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_differ_from_other_calls() {
        for event in [
            PageEvent::Opens(PAGE),
            PageEvent::OpensBeside(PAGE),
            PageEvent::Protects(PAGE),
            PageEvent::Stepped(PAGE),
            PageEvent::Closed,
        ] {
            let (number, arguments) = event.call();
            assert_eq!(PageEvent::announced(number, &arguments), Some(event));
        }
        let arguments = [PAGE, PAGE, 3, 0, 0, 0];
        assert_eq!(PageEvent::announced(libc::SYS_mprotect, &arguments), None);
    }
}
