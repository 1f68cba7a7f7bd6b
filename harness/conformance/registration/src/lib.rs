//! A library that re-exports the harness and registers a chaos test of its own.

#![forbid(unsafe_code)]

use harness::fault::BitFlip;
use harness::{Context, Result};

/// The harness under another path.
pub mod prelude {
    pub use harness as chaos;
}

/// Writes a chaos test, as the macro of a library does.
#[macro_export]
macro_rules! passing_test {
    ($name:ident, $scenario:literal) => {
        #[doc = $scenario]
        #[$crate::prelude::chaos::chaos(crate = $crate::prelude::chaos)]
        fn $name() {}
    };
}

/// A library registers this test, and each program that mentions the library runs it.
#[harness::chaos(crate = harness, library)]
fn in_a_library() {}

/// Flips three bits of a file, all of them drawn.
///
/// # Errors
///
/// When the file cannot be written.
pub fn flip_three_bits(cx: &Context) -> Result {
    let path = cx.dir().join("file");
    std::fs::write(&path, [0; 4096])?;
    for _ in 0..3 {
        cx.inject(BitFlip::new(&path))?.until_end();
    }
    Ok(())
}
