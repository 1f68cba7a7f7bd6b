//! Reads recordings. A recording may come from anywhere: nothing in it is trusted.

use super::manifest::{KEPT, MANIFEST, Manifest, RECORDS};
use super::member_path::{check, parent, stays_inside};
use super::recording_limits::RecordingLimits;
use super::trailer;
use clarity_chaos_record::{CapturedOutput, Record};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use tar::{Entry, EntryType};

/// A recording whose digest, members and manifest are checked.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) manifest: Manifest,
    /// The records without timelines and outputs, by the names of their members.
    pub(super) records: BTreeMap<String, Record>,
    /// The whole file.
    pub(super) bytes: Vec<u8>,
}

impl Archive {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than a recording, or fails a check.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let limits = RecordingLimits::DEFAULT;
        let (mut bytes, most) = (Vec::new(), limits.file_bytes as u64);
        File::open(path)
            .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
            .map_err(|error| error.to_string())?;
        Self::parse(bytes, &limits)
    }

    /// Checks the bytes of a recording.
    pub(super) fn parse(bytes: Vec<u8>, limits: &RecordingLimits) -> Result<Self, String> {
        if bytes.len() > limits.file_bytes {
            return Err(format!(
                "expected a recording of at most {} bytes, found more",
                limits.file_bytes
            ));
        }
        trailer::check(&bytes)?;
        let mut members = Members::default();
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| error.to_string())?;
            let path = entry.path_bytes().into_owned();
            members
                .add(&mut entry, &path, bytes.len(), limits)
                .map_err(|error| format!("the member `{}`: {error}", path.escape_ascii()))?;
        }
        let (manifest, records) = members.complete(bytes.len())?;
        Ok(Self {
            manifest,
            records,
            bytes,
        })
    }
}

/// The members of an archive, as far as they are checked.
#[derive(Default)]
struct Members {
    paths: BTreeSet<Vec<u8>>,
    directories: BTreeSet<Vec<u8>>,
    apparent_bytes: u64,
    manifest: Option<Vec<u8>>,
    records: BTreeMap<String, Record>,
    /// The position of the digest.
    digest: Option<u64>,
}

impl Members {
    fn add(
        &mut self,
        entry: &mut Entry<'_, &[u8]>,
        path: &[u8],
        file_bytes: usize,
        limits: &RecordingLimits,
    ) -> Result<(), String> {
        check(path)?;
        if !self.paths.insert(path.to_owned()) {
            return Err("expected each path once".to_owned());
        }
        if self.paths.len() > limits.members {
            return Err(format!("expected at most {} members", limits.members));
        }
        // Extended headers could give a member another size or name than its own header.
        if let Ok(Some(_)) | Err(_) = entry.pax_extensions() {
            return Err("expected no extended header".to_owned());
        }
        let kind = entry.header().entry_type();
        let stored = entry.header().entry_size().map_err(|e| e.to_string())?;
        let end = entry.raw_file_position().checked_add(stored);
        if end.is_none_or(|end| end > file_bytes as u64) {
            return Err(format!("expected its {stored} bytes, found the end"));
        }
        match (kind, path) {
            (EntryType::Regular, path) if path == trailer::MEMBER.as_bytes() => {
                self.digest = Some(entry.raw_header_position());
                Ok(())
            }
            (EntryType::Regular, path) if path == MANIFEST.as_bytes() => {
                let limit = limits.manifest_bytes;
                if entry.size() > limit as u64 {
                    return Err(format!("expected at most {limit} bytes"));
                }
                self.manifest = Some(content(entry)?);
                Ok(())
            }
            (EntryType::Regular, path) if parent(path) == Some(RECORDS.as_bytes()) => {
                let mut record = Record::from_json(&content(entry)?).map_err(|e| e.to_string())?;
                // A comparison needs neither. Forked tests inherit the memory of this process.
                record.timeline = Vec::new();
                record.output = CapturedOutput::default();
                self.records
                    .insert(String::from_utf8_lossy(path).into_owned(), record);
                Ok(())
            }
            _ => self.add_kept(entry, kind, path, limits),
        }
    }

    /// Checks a member of a kept directory.
    fn add_kept(
        &mut self,
        entry: &Entry<'_, &[u8]>,
        kind: EntryType,
        path: &[u8],
        limits: &RecordingLimits,
    ) -> Result<(), String> {
        let directory = parent(path).unwrap_or_default();
        let is_top = directory == KEPT.as_bytes() && kind == EntryType::Directory;
        // A parent that is a member and a directory is no symlink, and no file.
        if !is_top && !self.directories.contains(directory) {
            return Err("expected its directory before it".to_owned());
        }
        match kind {
            EntryType::Directory if entry.size() == 0 => {
                self.directories.insert(path.to_owned());
                Ok(())
            }
            EntryType::Regular | EntryType::GNUSparse => {
                self.apparent_bytes = self.apparent_bytes.saturating_add(entry.size());
                match self.apparent_bytes <= limits.apparent_bytes {
                    true => Ok(()),
                    false => Err(format!(
                        "expected kept files of at most {} bytes together",
                        limits.apparent_bytes
                    )),
                }
            }
            EntryType::Symlink if entry.size() == 0 => {
                let target = entry.link_name_bytes().unwrap_or_default();
                match stays_inside(path, &target) {
                    true => Ok(()),
                    false => Err(format!(
                        "expected a symlink within its kept directory, found one to `{}`",
                        target.escape_ascii()
                    )),
                }
            }
            _ => Err(format!(
                "expected a file, a directory or a symlink, found the kind `{}`",
                kind.as_byte().escape_ascii()
            )),
        }
    }

    /// Checks the manifest, and that the digest is the last member.
    fn complete(self, file_bytes: usize) -> Result<(Manifest, BTreeMap<String, Record>), String> {
        if self.digest != Some((file_bytes - trailer::LENGTH) as u64) {
            return Err(format!(
                "expected the member `{}` at the end only",
                trailer::MEMBER
            ));
        }
        let text = self
            .manifest
            .ok_or_else(|| format!("expected the member `{MANIFEST}`"))?;
        let manifest =
            read_manifest(&text).map_err(|error| format!("the member `{MANIFEST}`: {error}"))?;
        let mut names = BTreeSet::new();
        for case in &manifest.cases {
            let name = &case.name;
            if !names.insert(name) {
                return Err(format!("the test `{name}` is recorded twice"));
            }
            if let Some(member) = &case.record {
                let record = self.records.get(member);
                if !record.is_some_and(|record| {
                    (&record.name, record.root_seed) == (name, case.root_seed)
                }) {
                    return Err(format!("`{member}` is not the record of `{name}`"));
                }
            }
            for directory in &case.directories {
                let member = directory.member.as_bytes();
                let is_kept = parent(member) == Some(KEPT.as_bytes());
                if !is_kept || !self.directories.contains(member) {
                    return Err(format!(
                        "`{}` is not a kept directory of `{name}`",
                        directory.member
                    ));
                }
            }
        }
        Ok((manifest, self.records))
    }
}

/// Reads a whole member.
fn content(entry: &mut Entry<'_, &[u8]>) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .map_err(|error: io::Error| error.to_string())?;
    Ok(content)
}

fn read_manifest(text: &[u8]) -> Result<Manifest, String> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    // The version is checked first, because other versions may have other fields.
    let Version { schema } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if schema != Manifest::SCHEMA {
        return Err(format!(
            "expected schema {}, found {schema}: use the release of the harness that wrote the recording",
            Manifest::SCHEMA
        ));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
