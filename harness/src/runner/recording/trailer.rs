//! The end of a recording: the member with the digest of all bytes before it, and the mark of the
//! archive's end.

use sha2::{Digest as _, Sha256};
use std::io;
use tar::{Builder, Header};

/// The member with the digest.
pub(super) const MEMBER: &str = "sha256";

/// The length of a trailer, in bytes: a header, a block, and two blocks of zeros.
pub(super) const LENGTH: usize = 4 * 512;

/// Returns the SHA-256 of `bytes` as hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the trailer of an archive whose other members are `bytes`.
pub(super) fn of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let content = format!("{}\n", digest(bytes));
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, MEMBER, content.as_bytes())?;
    builder.into_inner()
}

/// Checks the digest of a recording.
///
/// # Errors
///
/// When the bytes are no recording, or a recording that was cut or changed.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let has_trailer = |bytes: &[u8]| {
        let name = bytes.get(bytes.len().wrapping_sub(LENGTH)..);
        name.is_some_and(|name| name.starts_with(b"sha256\0"))
    };
    if !has_trailer(bytes) {
        return Err("expected a recording, found another file, or a part of one".to_owned());
    }
    let (members, found) = bytes.split_at(bytes.len() - LENGTH);
    let expected = of(members).map_err(|error| error.to_string())?;
    match found == expected {
        true => Ok(()),
        false => Err("the recording was changed or damaged: its digest differs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_accepts_only_the_trailer_of_the_same_bytes() {
        let members = vec![7; 1024];
        let whole = [members.clone(), of(&members).unwrap()].concat();
        assert_eq!(whole.len(), members.len() + LENGTH);
        check(&whole).unwrap();
        for cut in 0..whole.len() {
            assert!(check(&whole[..cut]).is_err(), "{cut}");
            let mut changed = whole.clone();
            changed[cut] ^= 1 << (cut % 8);
            assert!(check(&changed).is_err(), "{cut}");
        }
        assert!(check(&[whole.clone(), vec![0]].concat()).is_err());
        assert!(check(&[whole, vec![0; 512]].concat()).is_err());
    }
}
