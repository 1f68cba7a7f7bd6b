//! What `#[chaos]` refuses, and how it says so.

#[test]
fn misuse_of_the_attribute_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
