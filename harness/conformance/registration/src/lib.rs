//! A library that re-exports the harness and registers a chaos test.

#![forbid(unsafe_code)]

use harness::fault::BitFlip;
use harness::{Context, Result};

/// Re-exports the harness under another path.
pub mod prelude {
    pub use harness as chaos;
}

/// Imitates a library's macro: defines a passing chaos test `$name` with the description
/// `$scenario`.
#[macro_export]
macro_rules! passing_test {
    ($name:ident, $scenario:literal) => {
        #[doc = $scenario]
        #[$crate::prelude::chaos::chaos(crate = $crate::prelude::chaos)]
        fn $name() {}
    };
}

/// This library registers the test, so every program that links the library runs the test.
#[harness::chaos(crate = harness, library)]
fn in_a_library() {}

/// Writes a file of 4,096 zero bytes, and injects three bit flips at places drawn from the seed.
///
/// # Errors
///
/// When the file cannot be written, or a fault cannot be injected.
pub fn flip_three_bits(cx: &Context) -> Result {
    let path = cx.dir().join("file");
    std::fs::write(&path, [0; 4096])?;
    for _ in 0..3 {
        cx.inject(BitFlip::new(&path))?.until_end();
    }
    Ok(())
}
