//! The errors of `#[chaos]` for functions and arguments that it refuses.

#[test]
fn chaos_attribute_misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
