//! Write protection of the pages of shared file mappings, in the process that made the mappings.
//!
//! At most one page of a process is writable at a time. A store to another page stops the thread
//! in a signal handler, which announces the page to the supervisor of system calls.

#[cfg(target_arch = "x86_64")]
mod handlers;
pub(crate) mod page_event;
pub(crate) mod request;
pub(crate) mod robust_list;

#[cfg(target_arch = "x86_64")]
pub(crate) use self::handlers::{install, is_own_handler, step_each_store};

use std::ops::Range;

/// The size of a page, in bytes.
pub(crate) const PAGE: u64 = 4096;

/// The addresses of protected mappings.
// The allocators of the kernel and of the C library give no such address. So an argument of a
// system call that is one of these addresses shows that the call uses a protected mapping.
pub(crate) const WINDOW: Range<u64> = 0x2000_0000_0000..0x3000_0000_0000;

/// Whether processes can protect their mappings: the handlers change registers of x86-64.
pub(crate) const IS_SUPPORTED: bool = cfg!(target_arch = "x86_64");

/// Does nothing: without the handlers, no mapping is protected.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn install() -> std::io::Result<()> {
    Ok(())
}

/// Whether this is the address of a handler of this module. There is none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_own_handler(_address: u64) -> bool {
    false
}

/// Does nothing: without the handlers, no store is executed alone.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn step_each_store(_is_each: bool) {}
