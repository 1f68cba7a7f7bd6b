//! The empty tests with `#[chaos(non_destructive)]`.

use clarity_chaos::chaos;

include!(concat!(env!("OUT_DIR"), "/chaos.rs"));

clarity_chaos::main!();
