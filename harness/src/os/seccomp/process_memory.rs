//! Copies bytes between this process and the memory of another process.
#![expect(
    unsafe_code,
    reason = "process_vm_readv and process_vm_writev have no safe form"
)]

use rustix::process::Pid;
use std::io;

/// A range of memory: its address, and its length in bytes.
pub(crate) type Range = (u64, u64);

/// Fills `bytes` with the memory of `process` at `address`.
///
/// # Errors
///
/// When the process does not have all of this memory, or when the system refuses the access.
pub(crate) fn read(process: Pid, address: u64, bytes: &mut [u8]) -> io::Result<()> {
    let remote = vector((address, bytes.len() as u64))?;
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the bytes outlive the call, which writes to no other memory of this process.
    let copied = unsafe {
        libc::process_vm_readv(
            process.as_raw_nonzero().get(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    require_all(copied, bytes.len())
}

/// Writes `bytes` to these ranges of the memory of `process`, in order. The ranges may be longer
/// than `bytes`.
///
/// # Errors
///
/// When the process cannot write to this memory, or when the system refuses the access.
pub(crate) fn write(process: Pid, ranges: &[Range], bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    for (address, length) in ranges {
        let count = usize::try_from(*length).unwrap_or(usize::MAX);
        let (part, later) = rest.split_at(count.min(rest.len()));
        rest = later;
        if part.is_empty() {
            continue;
        }
        let remote = vector((*address, part.len() as u64))?;
        let local = libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        };
        // SAFETY: the bytes outlive the call, which only reads them. The call writes to the memory
        // that a waiting system call of the process may write to.
        let copied = unsafe {
            libc::process_vm_writev(
                process.as_raw_nonzero().get(),
                &raw const local,
                1,
                &raw const remote,
                1,
                0,
            )
        };
        require_all(copied, part.len())?;
    }
    Ok(())
}

fn vector((address, length): Range) -> io::Result<libc::iovec> {
    let address = usize::try_from(address).map_err(io::Error::other)?;
    Ok(libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address),
        iov_len: usize::try_from(length).map_err(io::Error::other)?,
    })
}

/// Returns an error unless `wanted` bytes were copied.
fn require_all(copied: isize, wanted: usize) -> io::Result<()> {
    match usize::try_from(copied) {
        Ok(copied) if copied == wanted => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;

    #[test]
    fn bytes_are_scattered_over_ranges() {
        let (mut first, mut second) = ([0_u8; 3], [0_u8; 5]);
        let ranges = [
            (first.as_mut_ptr().expose_provenance() as u64, 3),
            (second.as_mut_ptr().expose_provenance() as u64, 5),
        ];
        write(getpid(), &ranges, b"abcde").unwrap();
        let mut read_back = [0; 5];
        read(getpid(), ranges[1].0, &mut read_back).unwrap();
        assert_eq!((&first, &read_back), (b"abc", b"de\0\0\0"));
        assert!(write(getpid(), &[(8, 4)], b"abcd").is_err());
    }
}
