//! The empty tests with `#[test]`.

include!(concat!(env!("OUT_DIR"), "/libtest.rs"));
