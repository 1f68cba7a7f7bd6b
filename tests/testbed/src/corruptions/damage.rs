//! Random damage to a file.

use clarity_chaos::rand::{Rng, RngExt as _};

/// A damaged file.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// The bytes of the damaged file; `None` if it was removed.
    pub(crate) bytes: Option<Vec<u8>>,
    /// A description of the damage, for a message.
    pub(crate) how: String,
}

/// Selects random damage to a file. One of `others` may replace the whole file.
pub(crate) fn draw(file: &[u8], is_text: bool, others: &[Vec<u8>], rng: &mut impl Rng) -> Damaged {
    let kinds = if is_text { 12 } else { 8 };
    let length = file.len();
    if length == 0 {
        let by = rng.random_range(1..64);
        return extended(file, by, rng);
    }
    let at = rng.random_range(0..length);
    let block = rng.random_range(1..=(length - at).min(4096));
    match rng.random_range(0..kinds) {
        0 => bits_flipped(file, rng),
        1 => {
            let mut bytes = file.to_vec();
            rng.fill(&mut bytes[at..at + block]);
            damaged(bytes, format!("{block} bytes overwritten from {at}"))
        }
        2 => {
            let mut bytes = file.to_vec();
            bytes[at..at + block].fill(0);
            damaged(bytes, format!("{block} zeros from {at}"))
        }
        3 => blocks_swapped(file, rng),
        4 => damaged(file[..at].to_vec(), format!("cut to {at} bytes")),
        5 => {
            let by = rng.random_range(1..64);
            extended(file, by, rng)
        }
        6 if !others.is_empty() => {
            let which = rng.random_range(0..others.len());
            damaged(
                others[which].clone(),
                format!("number {which} of the others"),
            )
        }
        6 | 7 => match rng.random_range(0..8) {
            0 => Damaged {
                bytes: None,
                how: "removed".to_owned(),
            },
            _ => bits_flipped(file, rng),
        },
        8 => one_character(file, rng),
        kind => lines(file, kind, rng),
    }
}

fn damaged(bytes: Vec<u8>, how: String) -> Damaged {
    Damaged {
        bytes: Some(bytes),
        how,
    }
}

fn bits_flipped(file: &[u8], rng: &mut impl Rng) -> Damaged {
    let mut bytes = file.to_vec();
    let count = rng.random_range(1..=4);
    let first = rng.random_range(0..bytes.len() * 8);
    bytes[first / 8] ^= 1 << (first % 8);
    for _ in 1..count {
        let bit = rng.random_range(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    damaged(bytes, format!("{count} bits flipped, the first {first}"))
}

fn blocks_swapped(file: &[u8], rng: &mut impl Rng) -> Damaged {
    let mut bytes = file.to_vec();
    let half = bytes.len() / 2;
    if half == 0 {
        return bits_flipped(file, rng);
    }
    let length = rng.random_range(1..=half.min(4096));
    let one = rng.random_range(0..=half - length);
    let other = rng.random_range(half..=bytes.len() - length);
    let (front, back) = bytes.split_at_mut(other);
    front[one..one + length].swap_with_slice(&mut back[..length]);
    damaged(
        bytes,
        format!("{length} bytes at {one} and {other} swapped"),
    )
}

fn extended(file: &[u8], by: usize, rng: &mut impl Rng) -> Damaged {
    let mut bytes = file.to_vec();
    bytes.resize(file.len() + by, 0);
    if rng.random() {
        rng.fill(&mut bytes[file.len()..]);
    }
    damaged(bytes, format!("{by} bytes longer"))
}

/// Replaces one character. The file stays text, and often a valid manifest.
fn one_character(file: &[u8], rng: &mut impl Rng) -> Damaged {
    const SIGNS: &[u8] = b"0123456789abcdefABCDEF-+.eE\"{}[],: nulltruefalse/\\\n\t";
    let mut bytes = file.to_vec();
    let at = rng.random_range(0..bytes.len());
    let to = SIGNS[rng.random_range(0..SIGNS.len())];
    bytes[at] = to;
    damaged(bytes, format!("{:?} at {at}", char::from(to)))
}

fn lines(file: &[u8], kind: usize, rng: &mut impl Rng) -> Damaged {
    let mut lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let line = rng.random_range(0..lines.len());
    let how = match kind {
        9 => {
            lines.remove(line);
            format!("line {line} removed")
        }
        10 => {
            lines.insert(line, lines[line]);
            format!("line {line} twice")
        }
        _ => {
            let next = (line + 1) % lines.len();
            lines.swap(line, next);
            format!("line {line} and the next swapped")
        }
    };
    damaged(lines.concat(), how)
}
