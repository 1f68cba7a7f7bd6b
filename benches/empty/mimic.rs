//! The empty tests as trials of libtest-mimic.

use libtest_mimic::{Arguments, Failed, Trial};

include!(concat!(env!("OUT_DIR"), "/mimic.rs"));

fn main() {
    let trials = TESTS
        .iter()
        .map(|(name, test)| Trial::test(*name, *test))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
