//! Fuzzes bodies with binary tensors. The first two bytes are the length of the JSON part.
#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((length, body)) = bytes.split_first_chunk() {
        model::check(body, Some(usize::from(u16::from_le_bytes(*length))));
    }
});
