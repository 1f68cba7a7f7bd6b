//! The arguments that tell a call from other calls on the same files.

use crate::os::mapped_pages::PAGE;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::file_call::Effect;
use crate::syscalls::transfer::Transfer;
use std::io;

/// The arguments that tell a call from other calls with the same name and paths. Other runs of the
/// same code make the call with the same values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CallDetails {
    /// The offset of a read or a write in the file. None for the end of the file.
    offset: Option<u64>,
    /// The number of bytes of a transfer, or the new length of a file.
    pub(crate) length: Option<u64>,
    /// The flags of an open, the kind of a rename, or the new mode of a file.
    flags: u64,
}

impl CallDetails {
    /// Gives the details of a call with this effect and this transfer.
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read.
    pub(crate) fn of(
        call: &WaitingCall,
        effect: &Effect,
        transfer: Option<&Transfer>,
        tracee: &Tracee,
    ) -> io::Result<Self> {
        if let Effect::Store { .. } | Effect::SyncRange { .. } = effect {
            return Ok(Self::of_mapped(effect));
        }
        let offset = match (effect, transfer) {
            (Effect::Write { offset, .. }, _) => *offset,
            (_, Some(transfer)) => transfer.read_offset(tracee)?,
            _ => None,
        };
        let length = match effect {
            Effect::Truncate { length, .. } | Effect::Extend { length, .. } => Some(*length),
            _ => transfer.map(|transfer| transfer.requested),
        };
        let flags = match effect {
            Effect::Open { .. } => open_flags(call, tracee)?,
            Effect::Rename { kind, .. } => *kind as u64,
            Effect::ChangeMode { mode, .. } => u64::from(*mode),
            _ => 0,
        };
        Ok(Self {
            offset,
            length,
            flags,
        })
    }

    /// Gives the details of a store through a mapping, or of a sync of mapped bytes.
    // The bytes that a store changes depend on those before. So the page alone is compared.
    pub(crate) fn of_mapped(effect: &Effect) -> Self {
        match effect {
            Effect::Store { offset, .. } => Self {
                offset: Some(offset - offset % PAGE),
                ..Self::default()
            },
            Effect::SyncRange { offset, length, .. } => Self {
                offset: Some(*offset),
                length: Some(*length),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

fn open_flags(call: &WaitingCall, tracee: &Tracee) -> io::Result<u64> {
    let a = &call.arguments;
    match call.number {
        libc::SYS_openat => Ok(a[2]),
        // The first field of `struct open_how`.
        libc::SYS_openat2 => tracee.long(a[2]),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => Ok(a[1]),
        _ => Ok(0),
    }
}
