//! Drops the capabilities of this process and of all processes that it starts.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::io;

/// Drops all capabilities, and the ability to regain them by executing a privileged program.
// With capabilities, root can read a file even if the file's permissions forbid reading. A fault
// such as "the file is not readable" would then have no effect.
pub(super) fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // `INVAL`: the capability is newer than this kernel. `PERM`: the process has no
            // capabilities and cannot regain any.
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
            "some capabilities are left after dropping all",
        ))
    }
}
