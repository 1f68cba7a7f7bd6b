//! The program `renamed` before its tests of seeds were renamed.

#![forbid(unsafe_code)]

mod seeds {
    use harness::{Context, Result};

    /// A test draws from its own name.
    #[harness::chaos(crate = harness)]
    fn draws(cx: Context) -> Result {
        clarity_chaos_registration::flip_three_bits(&cx)
    }

    /// A test fails with every seed.
    #[harness::chaos(crate = harness)]
    fn fails() {
        panic!("it fails under both names");
    }
}

harness::main!();
