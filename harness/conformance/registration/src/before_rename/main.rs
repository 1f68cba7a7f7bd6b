//! The tests in the module `seeds` of the program `renamed`, under their old names.

#![forbid(unsafe_code)]

mod seeds {
    use harness::{Context, Result};

    /// The seed is derived from the test's own name.
    #[harness::chaos(crate = harness)]
    fn draws(cx: Context) -> Result {
        clarity_chaos_registration::flip_three_bits(&cx)
    }

    /// Fails with every seed.
    #[harness::chaos(crate = harness)]
    fn fails() {
        panic!("it fails under both names");
    }
}

harness::main!();
