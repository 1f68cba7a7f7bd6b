//! Empty tests as `#[test]`.

include!(concat!(env!("OUT_DIR"), "/libtest.rs"));
