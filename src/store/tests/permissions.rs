//! Files without read permission.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use super::{models::Models, refused};
use crate::Reason;

#[test]
fn file_without_permission_is_unreadable_not_corrupt() {
    let models = Models::cole_kripke();
    let path = models.path("1/model.onnx");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    bound_by_permissions(|| {
        let error = fs::read(&path).expect_err("root reads every file: run this test as a user");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        refused(&models, Reason::ModelUnreadable, "model.onnx: ");
    });
}

/// Runs `check` on a thread that has no capability to ignore file permissions.
// A test that runs as root has such capabilities, and would check nothing. Capabilities belong to a
// thread, not to a process, so no other test loses them.
#[cfg(target_os = "linux")]
fn bound_by_permissions(check: impl FnOnce() + Send) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    let without_capabilities = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).unwrap();
        check();
    };
    std::thread::scope(|scope| {
        let checked = scope.spawn(without_capabilities).join();
        checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Runs `check`. On a system without capabilities, permissions apply to every user except root.
#[cfg(not(target_os = "linux"))]
fn bound_by_permissions(check: impl FnOnce()) {
    check();
}
