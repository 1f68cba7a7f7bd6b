//! The likely cause of a sandbox that is not complete, with its remedy.

use clarity_chaos_record::Sandbox;

/// Returns the likely causes of the missing parts, each with a remedy. Returns none for a complete
/// sandbox, and for a cause that is not known.
#[cfg(target_os = "linux")]
pub(crate) fn remedies(sandbox: &Sandbox) -> Vec<String> {
    // Without a mount namespace, there are no read-only mounts.
    if !sandbox.metadata.enforced {
        linux::HostFacts::read().remedies_of_namespaces()
    } else if !sandbox.processes.enforced {
        linux::HostFacts::read().remedies_of_processes()
    } else {
        Vec::new()
    }
}

/// Returns nothing: this system has no sandbox.
#[cfg(not(target_os = "linux"))]
pub(crate) fn remedies(_sandbox: &Sandbox) -> Vec<String> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::os::proc_text::read_lossy;

    /// The version that gVisor reports as that of the kernel. Linux itself never has it: the time
    /// is five minutes after the release of Linux 4.4.
    const GVISOR: &str = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

    /// The bit of `CAP_SYS_ADMIN` in a set of capabilities.
    const SYS_ADMIN: u64 = 1 << 21;

    /// The facts about this process and its kernel on which the sandbox depends.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(super) struct HostFacts {
        pub(super) is_gvisor: bool,
        /// `user.max_user_namespaces`
        pub(super) max_user_namespaces: Option<u64>,
        /// `kernel.unprivileged_userns_clone`, which only Debian's kernels have.
        pub(super) unprivileged_clone: Option<u64>,
        /// `kernel.apparmor_restrict_unprivileged_userns`
        pub(super) apparmor_restricts: Option<u64>,
        pub(super) has_seccomp_filter: bool,
        /// Whether this process has `CAP_SYS_ADMIN`.
        pub(super) is_privileged: bool,
        /// Whether parts of `/proc` are covered by other mounts.
        pub(super) has_covered_proc: bool,
    }

    impl HostFacts {
        pub(super) fn read() -> Self {
            let text = |path: &str| read_lossy(path).unwrap_or_default();
            let number = |path: &str| text(path).trim().parse().ok();
            let status = text("/proc/self/status");
            let field = |name: &str| {
                let value = status.lines().find_map(|line| line.strip_prefix(name));
                value.unwrap_or_default().trim()
            };
            let capabilities = u64::from_str_radix(field("CapEff:"), 16).unwrap_or(0);
            // The fifth field of a line is the directory of the mount.
            let covers_proc = |line: &str| {
                let directory = line.split(' ').nth(4);
                directory.is_some_and(|directory| directory.starts_with("/proc/"))
            };
            Self {
                is_gvisor: text("/proc/version").contains(GVISOR),
                max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
                unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
                apparmor_restricts: number(
                    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                ),
                has_seccomp_filter: field("Seccomp:") == "2",
                is_privileged: capabilities & SYS_ADMIN != 0,
                has_covered_proc: text("/proc/self/mountinfo").lines().any(covers_proc),
            }
        }

        /// Returns the likely causes for which the kernel refuses namespaces or mounts.
        pub(super) fn remedies_of_namespaces(&self) -> Vec<String> {
            if self.is_gvisor {
                return vec![
                    "the kernel is gVisor, which implements only a part of Linux: run the tests with \
                     another container runtime, such as `runc`, or in a virtual machine"
                        .to_owned(),
                ];
            }
            let mut remedies = Vec::new();
            if self.max_user_namespaces == Some(0) {
                remedies.push(
                    "user.max_user_namespaces is 0: raise it, for example with `sudo sysctl -w \
                     user.max_user_namespaces=15000`",
                );
            }
            if self.unprivileged_clone == Some(0) && !self.is_privileged {
                remedies.push(
                    "kernel.unprivileged_userns_clone is 0: set it to 1, for example with `sudo sysctl \
                     -w kernel.unprivileged_userns_clone=1`",
                );
            }
            if self.apparmor_restricts == Some(1) && !self.is_privileged {
                remedies.push(
                    "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, for example with \
                     `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or give the test \
                     binary an AppArmor profile with the rule `userns,`",
                );
            }
            // Docker's filter lets a process with this capability make namespaces. Other filters
            // may not.
            if self.has_seccomp_filter && remedies.is_empty() {
                remedies.push(
                    "a seccomp filter refuses system calls here, as Docker's default profile does: start \
                     the container with `--security-opt seccomp=unconfined --security-opt \
                     apparmor=unconfined --security-opt systempaths=unconfined`; in Kubernetes, set \
                     `seccompProfile: { type: Unconfined }`",
                );
            }
            remedies.into_iter().map(str::to_owned).collect()
        }

        /// Returns the likely causes for which the kernel refuses another `/proc`, and so a PID
        /// namespace.
        pub(super) fn remedies_of_processes(&self) -> Vec<String> {
            let covered = "parts of /proc are covered by other mounts, so the kernel refuses another \
                           /proc: start the container with `--security-opt systempaths=unconfined`; in \
                           Kubernetes, set `procMount: Unmasked`";
            let covered = self.has_covered_proc.then(|| covered.to_owned());
            covered.into_iter().collect()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[track_caller]
        fn assert_remedy(facts: &HostFacts, words: &str) {
            let remedies = facts.remedies_of_namespaces();
            assert_eq!(remedies.len(), 1, "{remedies:?}");
            assert!(remedies[0].contains(words), "{remedies:?}");
        }

        #[test]
        fn remedies_name_the_setting_that_refuses_namespaces() {
            let facts = HostFacts::default();
            assert_eq!(facts.remedies_of_namespaces(), Vec::<String>::new());
            let limit = HostFacts {
                max_user_namespaces: Some(0),
                has_seccomp_filter: true,
                ..HostFacts::default()
            };
            assert_remedy(&limit, "user.max_user_namespaces is 0");
            let filter = HostFacts {
                max_user_namespaces: Some(1000),
                apparmor_restricts: Some(0),
                has_seccomp_filter: true,
                ..HostFacts::default()
            };
            assert_remedy(&filter, "seccomp=unconfined");
            let apparmor = HostFacts {
                apparmor_restricts: Some(1),
                ..HostFacts::default()
            };
            assert_remedy(
                &apparmor,
                "kernel.apparmor_restrict_unprivileged_userns is 1",
            );
            let debian = HostFacts {
                unprivileged_clone: Some(0),
                ..HostFacts::default()
            };
            assert_remedy(&debian, "kernel.unprivileged_userns_clone is 0");
            let gvisor = HostFacts {
                is_gvisor: true,
                ..apparmor
            };
            assert_remedy(&gvisor, "gVisor");
        }

        #[test]
        fn restrictions_of_ordinary_users_do_not_concern_root() {
            let root = HostFacts {
                apparmor_restricts: Some(1),
                unprivileged_clone: Some(0),
                is_privileged: true,
                ..HostFacts::default()
            };
            assert_eq!(root.remedies_of_namespaces(), Vec::<String>::new());
        }
    }
}
