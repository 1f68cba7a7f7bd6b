//! The protocol between the server and its vetting child.
//!
//! A request has three parts: one line of JSON, the manifest, and the bytes of the files in path
//! order. The line contains the limits and the length of the manifest. A response has one line for
//! each step of the trial, and then one JSON document in the last line.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use super::VettingLimits;
use crate::runtime::TriedVersion;
use crate::{Manifest, Probe, Trial, VerifiedVersion};

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
}

/// The part of a request that precedes the bytes of the files.
pub(super) struct VettingRequest {
    pub(super) limits: VettingLimits,
    pub(super) manifest: Manifest,
    pub(super) record: bool,
    /// The total size of the files in bytes.
    pub(super) bytes: u64,
}

/// The child's response.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VettingVerdict {
    Passed(Vetted),
    Refused(String),
}

/// The result of a successful vetting.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vetted {
    pub(crate) trial: Trial,
    /// The probe with its recorded answer, if recording was requested.
    pub(crate) recorded: Option<Probe>,
}

impl Vetted {
    pub(crate) fn new(tried: TriedVersion, record: bool) -> Self {
        Self {
            trial: tried.trial,
            recorded: tried.probe.filter(|_| record),
        }
    }
}

pub(super) fn write_request(
    output: &mut impl Write,
    limits: &VettingLimits,
    version: &VerifiedVersion,
    record: bool,
) -> io::Result<()> {
    let manifest = version.manifest().to_json();
    let head = FrameHeader {
        limits: limits.clone(),
        manifest_bytes: manifest.len() as u64,
        record,
    };
    serde_json::to_writer(&mut *output, &head)?;
    output.write_all(b"\n")?;
    output.write_all(manifest.as_bytes())?;
    version
        .files()
        .values()
        .try_for_each(|bytes| output.write_all(bytes))
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
        bytes: sizes.fold(0, u64::saturating_add),
        manifest,
    })
}

pub(super) fn write_verdict(
    output: &mut impl Write,
    vetted: Result<Vetted, String>,
) -> io::Result<()> {
    let verdict = match vetted {
        Ok(vetted) => VettingVerdict::Passed(vetted),
        Err(why) => VettingVerdict::Refused(why),
    };
    serde_json::to_writer(&mut *output, &verdict)?;
    output.flush()
}

pub(super) fn read_verdict(json: &[u8]) -> Option<Result<Vetted, String>> {
    match serde_json::from_slice(json).ok()? {
        VettingVerdict::Passed(vetted) => Some(Ok(vetted)),
        VettingVerdict::Refused(why) => Some(Err(why)),
    }
}
