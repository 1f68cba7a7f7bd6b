//! The protocol between the server and its vetting child.
//!
//! A request has three parts: one line of JSON, the manifest, and the bytes of the files in path
//! order. The line contains the limits and the length of the manifest. A response has one line for
//! each step of the trial, and then one JSON document in the last line. A line of JSON before the
//! steps of the second opinion is the verdict without it.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use super::VettingLimits;
use crate::runtime::TriedVersion;
use crate::{
    Manifest, Probe, RuntimeId, RuntimeRefusal, SecondOpinion, SecondOpinionPolicy, Trial,
    VerifiedVersion,
};

/// The maximum length of the first line of a request, in bytes.
const MAX_HEADER_BYTES: u64 = 4096;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameHeader {
    limits: VettingLimits,
    manifest_bytes: u64,
    /// Whether the answer to the probe is recorded and returned.
    #[serde(default)]
    record: bool,
    /// Whether a second runtime is asked.
    #[serde(default = "without_second")]
    second_opinion: SecondOpinionPolicy,
    /// The number of runtimes that can load the version: each one needs memory.
    #[serde(default = "one")]
    runtimes: u64,
}

fn without_second() -> SecondOpinionPolicy {
    SecondOpinionPolicy::Off
}

fn one() -> u64 {
    1
}

/// One version and the parameters of its vetting.
pub(super) struct Question<'a> {
    pub(super) version: &'a VerifiedVersion,
    pub(super) limits: &'a VettingLimits,
    pub(super) record: bool,
    pub(super) second_opinion: SecondOpinionPolicy,
    pub(super) runtimes: u64,
}

/// The part of a request that precedes the bytes of the files.
pub(super) struct VettingRequest {
    pub(super) limits: VettingLimits,
    pub(super) manifest: Manifest,
    pub(super) record: bool,
    pub(super) second_opinion: SecondOpinionPolicy,
    pub(super) runtimes: u64,
    /// The total size of the files in bytes.
    pub(super) bytes: u64,
}

/// The child's response.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VettingVerdict {
    Passed(Vetted),
    Refused(Refusal),
}

/// Why a version was refused in the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// The runtimes that refused the version; empty if the version failed its trial.
    pub(super) runtimes: Vec<RuntimeRefusal>,
    /// The second opinion, if the version was refused for it.
    pub(super) second_opinion: Option<SecondOpinion>,
}

/// The result of a successful vetting.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vetted {
    pub(crate) trial: Trial,
    /// The runtime that loaded the version.
    pub(crate) runtime: RuntimeId,
    /// The preferred runtimes that refused the version.
    pub(crate) passed_over: Vec<RuntimeRefusal>,
    /// The second opinion, if it is wanted and there are several runtimes.
    pub(crate) second_opinion: Option<SecondOpinion>,
    /// The probe with its recorded answer, if recording was requested.
    pub(crate) recorded: Option<Probe>,
}

impl Vetted {
    pub(crate) fn new(tried: TriedVersion<'_>, record: bool) -> Self {
        Self {
            trial: tried.trial,
            runtime: tried.runtime,
            passed_over: tried.passed_over,
            second_opinion: tried.second_opinion,
            recorded: tried.probe.filter(|_| record),
        }
    }

    /// The verdict in case that the process ends before the second runtime has given its opinion.
    /// `None` if there is no second runtime to ask.
    pub(super) fn without_second(tried: &TriedVersion<'_>, record: bool) -> Option<Self> {
        let second = tried.second_runtime()?;
        Some(Self {
            trial: tried.trial.clone(),
            runtime: tried.runtime.clone(),
            passed_over: tried.passed_over.clone(),
            second_opinion: Some(SecondOpinion::Uncompared {
                runtime: second,
                why: String::new(),
            }),
            recorded: tried.probe.clone().filter(|_| record),
        })
    }
}

pub(super) fn write_request(output: &mut impl Write, question: &Question<'_>) -> io::Result<()> {
    let manifest = question.version.manifest().to_json();
    let head = FrameHeader {
        limits: question.limits.clone(),
        manifest_bytes: manifest.len() as u64,
        record: question.record,
        second_opinion: question.second_opinion,
        runtimes: question.runtimes,
    };
    serde_json::to_writer(&mut *output, &head)?;
    output.write_all(b"\n")?;
    output.write_all(manifest.as_bytes())?;
    let files = question.version.files();
    files.values().try_for_each(|bytes| output.write_all(bytes))
}

pub(super) fn read_request(input: &mut impl BufRead) -> io::Result<VettingRequest> {
    let mut line = Vec::new();
    input.take(MAX_HEADER_BYTES).read_until(b'\n', &mut line)?;
    let head: FrameHeader = serde_json::from_slice(&line)?;
    let length = head.manifest_bytes.min(Manifest::MAX_BYTES);
    let mut json = Vec::new();
    input.take(length).read_to_end(&mut json)?;
    let manifest = Manifest::parse(&json)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let sizes = manifest.files().values().map(|file| file.size);
    Ok(VettingRequest {
        limits: head.limits,
        record: head.record,
        second_opinion: head.second_opinion,
        runtimes: head.runtimes,
        bytes: sizes.fold(0, u64::saturating_add),
        manifest,
    })
}

pub(super) fn write_verdict(
    output: &mut impl Write,
    vetted: Result<Vetted, Refusal>,
) -> io::Result<()> {
    let verdict = match vetted {
        Ok(vetted) => VettingVerdict::Passed(vetted),
        Err(refusal) => VettingVerdict::Refused(refusal),
    };
    serde_json::to_writer(&mut *output, &verdict)?;
    output.flush()
}

/// Writes a verdict that holds unless another one follows.
pub(super) fn write_provisional(output: &mut impl Write, vetted: Vetted) -> io::Result<()> {
    serde_json::to_writer(&mut *output, &VettingVerdict::Passed(vetted))?;
    output.write_all(b"\n")?;
    output.flush()
}

pub(super) fn read_verdict(json: &[u8]) -> Option<Result<Vetted, Refusal>> {
    match serde_json::from_slice(json).ok()? {
        VettingVerdict::Passed(vetted) => Some(Ok(vetted)),
        VettingVerdict::Refused(refusal) => Some(Err(refusal)),
    }
}
