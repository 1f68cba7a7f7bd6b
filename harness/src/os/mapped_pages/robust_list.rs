//! Robust mutexes that a thread holds in protected mappings.
//!
//! When a thread dies, the kernel marks the robust mutexes that the thread holds. The kernel cannot
//! do this in protected pages.
#![expect(unsafe_code, reason = "get_robust_list has no safe form")]

use super::WINDOW;
use crate::os::seccomp::tracee::Tracee;
use std::io;

/// The maximum number of mutexes that the kernel looks at (`ROBUST_LIST_LIMIT`).
const LIMIT: usize = 2048;

/// Whether the thread holds, or is about to hold, a robust mutex in [`WINDOW`].
pub(crate) fn holds_mapped_mutex(thread: u32, tracee: &Tracee) -> io::Result<bool> {
    let (mut head, mut length) = (0_u64, 0_usize);
    // SAFETY: the kernel writes a pointer and a length, to memory of these sizes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            thread,
            &raw mut head,
            &raw mut length,
        )
    };
    if result != 0 || head == 0 {
        return Ok(false);
    }
    // The fields of `struct robust_list_head`: the list, an offset, and the pending mutex. The
    // lowest bit of a pointer has another meaning.
    let pending = tracee.long(head + 16)? & !1;
    let mut entry = tracee.long(head)? & !1;
    let mut found = WINDOW.contains(&pending);
    for _ in 0..LIMIT {
        if found || entry == head {
            break;
        }
        found = WINDOW.contains(&entry);
        entry = tracee.long(entry)? & !1;
    }
    Ok(found)
}
