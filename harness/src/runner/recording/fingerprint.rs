//! The facts on which a run may depend: the binary, the machine, and the environment.

use super::binary_id::BinaryId;
use crate::registration::origin::Origin;
use crate::runner::provenance::provenance;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;

/// The variables that change the behaviour of many programs. Variables with secrets have other
/// names.
const VARIABLES: [&str; 13] = [
    "GLIBC_TUNABLES",
    "LANG",
    "LC_ALL",
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_LOG",
    "RUST_MIN_STACK",
    "TOKIO_WORKER_THREADS",
    "TZ",
];

/// The facts on which a run may depend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// The Cargo package and the Cargo target that contain the tests.
    pub(super) suite: String,
    /// The version of the harness.
    pub(super) harness: String,
    /// The features of the harness.
    pub(super) features: Vec<String>,
    /// The test binary. Absent if it could not be read.
    pub(super) binary: Option<BinaryId>,
    /// The commit of the source code, from Git. Absent outside of a repository.
    pub(super) commit: Option<String>,
    pub(super) system: String,
    /// The release of the kernel. Absent where unknown.
    pub(super) kernel: Option<String>,
    pub(super) architecture: String,
    /// The model of the CPU. Absent where unknown.
    pub(super) cpu: Option<String>,
    /// The number of processors that the runner may use. Absent where unknown.
    pub(super) processors: Option<usize>,
    /// `root` or `not root`. Absent where unknown.
    pub(super) user: Option<String>,
    /// The variables of [`VARIABLES`] that are set.
    pub(super) variables: BTreeMap<String, String>,
}

impl Fingerprint {
    /// Reads the facts of this process.
    pub(crate) fn of_this_process(origin: &Origin) -> Self {
        let variable = |name: &str| Some((name.to_owned(), env::var(name).ok()?));
        Self {
            suite: format!("{}::{}", origin.package, origin.target),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            features: cfg!(feature = "wall-clock")
                .then(|| "wall-clock".to_owned())
                .into_iter()
                .collect(),
            binary: BinaryId::of_this_process().ok(),
            commit: provenance().commit,
            system: env::consts::OS.to_owned(),
            kernel: kernel(),
            architecture: env::consts::ARCH.to_owned(),
            cpu: cpu(),
            processors: std::thread::available_parallelism().map(usize::from).ok(),
            user: user(),
            variables: VARIABLES.into_iter().filter_map(variable).collect(),
        }
    }

    /// Whether both runs certainly had the same binary.
    pub(super) fn has_same_binary(&self, here: &Self) -> bool {
        self.binary.is_some() && self.binary == here.binary
    }

    /// Describes the binary.
    pub(super) fn binary_text(&self) -> String {
        let binary = self.binary.as_ref();
        binary.map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    /// Returns a line for each fact that differs, except for the binary.
    pub(super) fn differences(&self, here: &Self) -> Vec<String> {
        let rows = self.rows().into_iter().zip(here.rows());
        let facts = rows
            .filter(|((_, recorded), (_, here))| recorded != here)
            .map(|((name, recorded), (_, here))| difference(name, &recorded, &here));
        let names: BTreeSet<&String> = self.variables.keys().chain(here.variables.keys()).collect();
        let value = |variables: &BTreeMap<String, String>, name: &String| {
            variables
                .get(name)
                .map_or("not set".to_owned(), |value| format!("`{value}`"))
        };
        let variables = names.into_iter().filter_map(|name| {
            let (recorded, here) = (value(&self.variables, name), value(&here.variables, name));
            (recorded != here).then(|| difference(&format!("variable {name}"), &recorded, &here))
        });
        facts.chain(variables).collect()
    }

    fn rows(&self) -> [(&'static str, String); 10] {
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        let processors = self.processors.map(|count| count.to_string());
        [
            ("suite", self.suite.clone()),
            ("harness", self.harness.clone()),
            (
                "features of the harness",
                match self.features.is_empty() {
                    true => "none".to_owned(),
                    false => self.features.join(", "),
                },
            ),
            ("commit", known(&self.commit)),
            ("system", self.system.clone()),
            ("kernel", known(&self.kernel)),
            ("architecture", self.architecture.clone()),
            ("CPU", known(&self.cpu)),
            ("processors", known(&processors)),
            ("user", known(&self.user)),
        ]
    }
}

/// Describes a fact that differs.
pub(super) fn difference(name: &str, recorded: &str, here: &str) -> String {
    format!("{name}: recorded {recorded}, here {here}")
}

#[cfg(unix)]
fn kernel() -> Option<String> {
    let name = rustix::system::uname();
    Some(name.release().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn kernel() -> Option<String> {
    None
}

#[cfg(unix)]
fn user() -> Option<String> {
    let user = match rustix::process::geteuid().is_root() {
        true => "root",
        false => "not root",
    };
    Some(user.to_owned())
}

#[cfg(not(unix))]
fn user() -> Option<String> {
    None
}

/// Reads the model of the first processor. Linux only.
fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found.trim() == name).then(|| value.trim().to_owned())
        })
    };
    // 64-bit ARM kernels print numbers in place of a model.
    value("model name").or_else(|| {
        let (implementer, part) = (value("CPU implementer")?, value("CPU part")?);
        Some(format!("implementer {implementer}, part {part}"))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn fingerprint() -> Fingerprint {
        Fingerprint {
            suite: "a::chaos".to_owned(),
            harness: "0.1.0".to_owned(),
            features: Vec::new(),
            binary: Some(BinaryId {
                file: "chaos-1".to_owned(),
                bytes: 3,
                sha256: "ab".to_owned(),
            }),
            commit: None,
            system: "linux".to_owned(),
            kernel: Some("6.1".to_owned()),
            architecture: "x86_64".to_owned(),
            cpu: Some("A".to_owned()),
            processors: Some(2),
            user: Some("root".to_owned()),
            variables: BTreeMap::new(),
        }
    }

    #[test]
    fn differences_name_each_fact_that_differs() {
        let (recorded, mut here) = (fingerprint(), fingerprint());
        assert!(recorded.has_same_binary(&here));
        assert_eq!(recorded.differences(&here), Vec::<String>::new());
        here.kernel = Some("6.8".to_owned());
        here.cpu = None;
        here.processors = Some(64);
        here.variables.insert("TZ".to_owned(), "UTC".to_owned());
        here.features.push("wall-clock".to_owned());
        assert_eq!(
            recorded.differences(&here),
            [
                "features of the harness: recorded none, here wall-clock",
                "kernel: recorded 6.1, here 6.8",
                "CPU: recorded A, here unknown",
                "processors: recorded 2, here 64",
                "variable TZ: recorded not set, here `UTC`",
            ]
        );
    }

    #[test]
    fn binary_is_the_same_only_if_both_are_known() {
        let (recorded, mut here) = (fingerprint(), fingerprint());
        if let Some(binary) = &mut here.binary {
            binary.file = "moved".to_owned();
        }
        assert!(recorded.has_same_binary(&here));
        if let Some(binary) = &mut here.binary {
            binary.sha256 = "ac".to_owned();
        }
        assert!(!recorded.has_same_binary(&here));
        here.binary = None;
        assert!(!recorded.has_same_binary(&here));
        assert!(!here.has_same_binary(&here));
    }
}
