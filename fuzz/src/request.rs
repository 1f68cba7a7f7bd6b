//! Fuzzes bodies of JSON requests.
#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| model::check(body, None));
