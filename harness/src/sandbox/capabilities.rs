//! Giving up the powers of root, for this process and everything that it starts.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::io;

/// Drops all capabilities, and the means to get them back by executing a privileged program.
///
/// Without this root can read a file without permissions, and a fault such as "the file is not readable" would injure nobody.
pub(super) fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // Newer than this kernel; or the process has no capability at all, and cannot get one any more.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none)?;
    if capabilities(None)? == none {
        Ok(())
    } else {
        Err(io::Error::other(
            "capabilities are left after all were dropped",
        ))
    }
}
