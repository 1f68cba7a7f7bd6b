//! Recognises the damage of a fault in the bytes of a file.
//!
//! A killed process may have written only a part of the damage, or only a part of the saved bytes.
//! Each byte of the file is then either the saved byte or the damaged byte at its offset. Bytes
//! that are neither belong to other code, and are not overwritten.

use super::condition::{FileIdentity, WRITTEN_SINCE, metadata};
use super::error::UndoError;
use super::step::{SavedContent, UndoAction};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// The bytes of a file that a fault has replaced.
#[derive(Debug)]
pub(super) struct DamagedRange<'a> {
    pub(super) path: &'a Path,
    /// The offset of the first byte of the range.
    pub(super) offset: u64,
    /// The bytes before the fault.
    pub(super) content: &'a SavedContent,
    /// The number of bytes in the place of `content`.
    pub(super) replaced: u64,
    /// The bytes that the fault has written, if they are known.
    pub(super) damage: Option<&'a SavedContent>,
}

impl<'a> DamagedRange<'a> {
    /// Returns the range of a step that restores bytes. Returns `None` for other actions.
    pub(super) fn of(action: &'a UndoAction) -> Option<Self> {
        match action {
            UndoAction::Restore {
                path,
                offset,
                content,
                replaced,
                damage,
                ..
            } => Some(Self {
                path,
                offset: *offset,
                content,
                replaced: *replaced,
                damage: damage.as_ref(),
            }),
            _ => None,
        }
    }

    /// Whether the range has its bytes from before the fault. False if the file does not exist.
    pub(super) fn is_restored(&self) -> Result<bool, UndoError> {
        let content = bytes(self.content)?;
        Ok(self.read(content.len())?.is_some_and(|now| now == *content))
    }

    /// Returns a description of bytes in the range that neither the fault nor an undo step has
    /// written. Returns `None` if there are no such bytes. `file` is the damaged file, if it is
    /// known.
    pub(super) fn foreign_bytes(
        &self,
        file: Option<&FileIdentity>,
    ) -> Result<Option<String>, UndoError> {
        let Some(now) = metadata(self.path)? else {
            return Ok(Some("no file".to_owned()));
        };
        if file.is_some_and(|file| !file.is_same_file(&FileIdentity::from(&now))) {
            return Ok(Some("another file in its place".to_owned()));
        }
        let content = bytes(self.content)?;
        let damage = match self.damage {
            Some(damage) => bytes(damage)?,
            None => Cow::Borrowed(&[][..]),
        };
        let foreign = || Ok(Some(WRITTEN_SINCE.to_owned()));
        let Some(now) = self.read(content.len())? else {
            return foreign();
        };
        let (shorter, longer) = match content.len() < damage.len() {
            true => (content.len(), damage.len()),
            false => (damage.len(), content.len()),
        };
        let is_ours = |(index, byte): (usize, &u8)| {
            content.get(index) == Some(byte) || damage.get(index) == Some(byte)
        };
        match (shorter..=longer).contains(&now.len()) && now.iter().enumerate().all(is_ours) {
            true => Ok(None),
            false => foreign(),
        }
    }

    /// Reads the range. The range reaches to the end of the file if the fault has changed the
    /// file's size. Returns `None` if the file does not exist, or ends before the range.
    fn read(&self, length: usize) -> Result<Option<Vec<u8>>, UndoError> {
        let mut file = match File::open(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(UndoError::file("open", self.path))?,
        };
        let length = length as u64;
        let limit = match length == self.replaced {
            true => length,
            false => u64::MAX,
        };
        let mut now = Vec::new();
        let mut read = || {
            let size = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(self.offset))?;
            (&mut file).take(limit).read_to_end(&mut now)?;
            Ok(size)
        };
        let size: u64 = read().map_err(UndoError::file("read", self.path))?;
        Ok((size >= self.offset).then_some(now))
    }
}

/// Saves the bytes that a step will replace, unless the step has them already.
pub(super) fn save(action: &mut UndoAction) -> Result<(), UndoError> {
    let now = match DamagedRange::of(action) {
        Some(range) if range.damage.is_none() => {
            let length = bytes(range.content)?.len();
            range.read(length)?
        }
        _ => None,
    };
    if let (Some(now), UndoAction::Restore { damage, .. }) = (now, action) {
        *damage = Some(SavedContent::Bytes(now));
    }
    Ok(())
}

/// The saved bytes.
pub(super) fn bytes(saved: &SavedContent) -> Result<Cow<'_, [u8]>, UndoError> {
    match saved {
        SavedContent::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        SavedContent::File(path) => fs::read(path)
            .map(Cow::Owned)
            .map_err(UndoError::file("read", path)),
    }
}
