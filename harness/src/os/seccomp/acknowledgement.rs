//! A system call that tells a listener about an acknowledgement.
#![expect(unsafe_code, reason = "sync_file_range has no safe form")]

/// The offset in the call. No file is as long, and no descriptor is -1, so the kernel refuses the
/// call if no listener answers it.
const MARK: i64 = i64::MAX - 0xAC;

/// Makes the call. Has no effect if no listener answers the call.
pub(crate) fn announce() {
    // SAFETY: the call touches no memory, and the kernel refuses the descriptor -1.
    unsafe { libc::sync_file_range(-1, MARK, 0, 0) };
}

/// Whether these are the number and the arguments of the call.
pub(crate) fn is_announcement(number: i64, arguments: &[u64; 6]) -> bool {
    let [descriptor, offset, ..] = *arguments;
    number == libc::SYS_sync_file_range
        && descriptor & 0xffff_ffff == 0xffff_ffff
        && i64::try_from(offset) == Ok(MARK)
}
