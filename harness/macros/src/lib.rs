#![doc = include_str!("../README.md")]
//!
//! The way of a test function through this crate: `options` reads what stands in the attribute,
//! `validate` refuses functions that cannot be tests, `expand` writes the registration.

mod expand;
mod options;
mod validate;

use options::Options;
use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Registers a function as a chaos test.
///
/// ```ignore
/// /// A weight file with one flipped bit is refused, and the last good version keeps answering.
/// #[chaos(non_destructive, timeout = "10s")]
/// async fn one_flipped_bit_is_refused(cx: Context) -> Result {
///     Ok(())
/// }
/// ```
///
/// The function is sync or async, takes a `Context` or nothing, and returns `()` or a `Result` whose
/// error converts into `Box<dyn Error + Send + Sync>`. Its doc comment is the description of the failure scenario, and is required.
///
/// | in the attribute | meaning | default |
/// |---|---|---|
/// | a word | a tag to select by; `slow` and `non_destructive` are known ones | none |
/// | `timeout = "10s"` | the limit of real time, as `humantime` writes it: `500ms`, `2m`, `1m 30s` | `--timeout`, 30 s |
/// | `clock = "real"` | real time (async tests: on a multi-threaded runtime) | `real` |
/// | `clock = "paused"` | async only: virtual time that jumps to the next timer whenever all tasks are idle; for code without peers outside the runtime | |
/// | `clock = "manual"` | async only: virtual time that moves when the test says so; sockets and files are usable | |
/// | `memory = "512MiB"` | private writable memory (`KiB`, `MiB`, `GiB`): allocations beyond it fail. Linux | unlimited |
/// | `open_files = 64` | descriptors, those of the harness (about ten) included: opening more fails. Linux | the system's |
/// | `cpu = "10s"` | CPU time of all threads, in whole seconds: the process is killed when it is used up. Linux | unlimited |
///
/// Anything else in the attribute does not compile. Neither does a body in which a future or a `Result` stands as a statement and is not used: what was never awaited has not
/// happened. (The function gets `#[deny(unused_must_use)]`, whatever the crate says of that; `let _ =` says that it is meant.)
#[proc_macro_attribute]
pub fn chaos(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let (options, mut problems) = Options::parse(attribute.into());
    problems.extend(validate::problems(&function, &options));

    // The function stays in the output even when it is refused: the compiler then reports nothing but the refusal.
    match problems.into_iter().reduce(|mut all, next| {
        all.combine(next);
        all
    }) {
        Some(error) => {
            let error = error.to_compile_error();
            quote::quote! { #error #[expect(dead_code, reason = "refused as a chaos test")] #function }.into()
        }
        None => expand::expand(&function, &options).into(),
    }
}
