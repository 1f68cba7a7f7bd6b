//! Seeds for the random parts of a model's delays.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// The seed of one model: derived from its name and `root`, or random if `root` is `None`.
pub(crate) fn seed_for(model: &str, root: Option<u64>) -> u64 {
    match root {
        Some(root) => {
            // FNV-1a gives the same hash on every platform and with every release of Rust. The
            // standard library does not promise this for its own hasher.
            let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            root ^ model.bytes().fold(0xcbf2_9ce4_8422_2325, fnv)
        }
        None => RandomState::new().hash_one(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_for_equal_names_and_roots_is_equal() {
        assert_eq!(seed_for("a", Some(1)), seed_for("a", Some(1)));
        assert_ne!(seed_for("a", Some(1)), seed_for("b", Some(1)));
        assert_ne!(seed_for("a", Some(1)), seed_for("a", Some(2)));
    }
}
