//! The calls of random programs.

use crate::reference::{Op, WriteSync};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// The number of kinds of calls, and that without calls on mappings.
pub(super) const KINDS: u8 = 29;
pub(super) const UNMAPPED_KINDS: u8 = 24;

/// Offsets and lengths, in bytes, at the borders of sectors and blocks.
const OFFSETS: [u64; 7] = [0, 100, 500, 512, 4096, 1000, 4090];
const LENGTHS: [u64; 6] = [0, 50, 512, 800, 4096, 5000];
const STORE_OFFSETS: [u64; 6] = [0, 90, 600, 1000, 4090, 4900];

/// Offsets and lengths of mapped bytes.
const RANGES: [(u64, u64); 5] = [(0, 1), (0, 4096), (4096, 1), (4096, 4096), (0, 8192)];

/// Draws the call with this number, of the first `kinds` kinds. `handles` is the number of the
/// process's handles. The call can need another one before it, which opens a file.
pub(super) fn draw_call(
    kinds: u8,
    names: &[&str],
    number: u8,
    handles: &mut usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Op> {
    let name = |rng: &mut ChaCha8Rng| (*names.choose(rng).unwrap()).to_owned();
    let path = name(rng);
    let kind = rng.random_range(0..kinds);
    let other = name(rng);
    let op = match kind {
        11 | 12 => Op::Rename {
            from: path,
            to: other,
        },
        13 => Op::Link {
            from: path,
            to: other,
        },
        14 => Op::Unlink { path },
        15 | 16 => Op::FsyncDir {
            path: ["", "d"][rng.random_range(0..2)].to_owned(),
        },
        17 => Op::Chmod {
            path,
            mode: [0o600, 0o640][rng.random_range(0..2)],
        },
        18 => Op::Exchange { a: path, b: other },
        19 if rng.random_range(0..4) == 0 => Op::SyncAll,
        22 => {
            *handles += 1;
            Op::OpenUnnamed
        }
        23 if *handles > 0 => Op::LinkHandle {
            handle: rng.random_range(0..*handles),
            to: other,
        },
        _ => {
            // Other calls use a new handle, or a handle of before, whose file can have another
            // name by now.
            if *handles > 0 && rng.random_range(0..3) == 0 {
                let handle = rng.random_range(0..*handles);
                return vec![on_handle(handle, kind, number, rng)];
            }
            let open = Op::Open {
                path,
                create: true,
                truncate: rng.random_range(0..6) == 0,
            };
            *handles += 1;
            return vec![open, on_handle(*handles - 1, kind, number, rng)];
        }
    };
    vec![op]
}

fn on_handle(handle: usize, kind: u8, number: u8, rng: &mut ChaCha8Rng) -> Op {
    match kind {
        0..=4 => {
            let at = *OFFSETS.choose(rng).unwrap();
            let length = draw_length(at, rng);
            let sync = match rng.random_range(0..8) {
                0 => WriteSync::Data,
                1 => WriteSync::Full,
                _ => WriteSync::None,
            };
            Op::Write {
                handle,
                at: (kind < 4).then_some(at),
                bytes: vec![b'0' + number; if kind < 4 { length } else { length.min(300) }],
                sync,
            }
        }
        5 | 6 => Op::Truncate {
            handle,
            length: *LENGTHS.choose(rng).unwrap(),
        },
        7 => Op::Allocate {
            handle,
            length: *LENGTHS[1..].choose(rng).unwrap(),
        },
        8 | 9 => Op::Fdatasync { handle },
        24..=26 => {
            let at = *STORE_OFFSETS.choose(rng).unwrap();
            let bytes = vec![b'0' + number; draw_length(at, rng)];
            Op::Store { handle, at, bytes }
        }
        27 | 28 => {
            let (at, length) = *RANGES.choose(rng).unwrap();
            Op::Msync { handle, at, length }
        }
        _ => Op::Fsync { handle },
    }
}

/// Draws the length of a write or store, of at most two sectors.
fn draw_length(at: u64, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(1..=1024 - usize::try_from(at).unwrap() % 512)
}
