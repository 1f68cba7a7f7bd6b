#![doc = include_str!("../README.md")]
//!
//! Four modules handle a test function. `options` parses the attribute's arguments, and
//! `description` reads the doc comment. `validate` refuses a function that cannot be a test, and
//! `expand` generates the registration.

#![forbid(unsafe_code)]

mod description;
mod expand;
mod options;
mod validate;

use description::Description;
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
/// The function is sync or async. It takes a `Context` or nothing, and returns `()` or a `Result`.
/// The error type of the `Result` must convert into `Box<dyn Error + Send + Sync>`.
///
/// # Arguments
///
/// An argument without a value is a tag, such as `slow`. On the command line, `-m` selects tests by
/// their tags. Only the tag `non_destructive` has a meaning for the harness. The options are:
///
/// - `timeout = "10s"`: the limit of real time, in the format of `humantime` (`500ms`, `2m`,
///   `1m 30s`). Default: the value of `--timeout`, which is 30 s by default.
/// - `clock = "real"`: real time, the default. Async tests run on a multi-threaded Tokio runtime.
/// - `clock = "paused"`: async only. Virtual time jumps to the next timer when all tasks are idle.
///   Only for code that does not wait for sockets or for other threads. If the clock jumps while a
///   socket of the runtime has unread bytes, the test fails.
/// - `clock = "manual"`: async only. Virtual time moves only when the test advances the clock.
///   Sockets and files are usable.
/// - `memory = "512MiB"`: the limit of private writable memory (`KiB`, `MiB`, `GiB`). Allocations
///   beyond the limit fail. Linux only. Default: unlimited.
/// - `open_files = 64`: the limit of descriptors, including those of the harness (about ten).
///   Opening further descriptors fails. Linux only. Default: the system's limit.
/// - `cpu = "10s"`: the limit of the CPU time of all threads, in whole seconds. Beyond the limit,
///   the process is killed. Linux only. Default: unlimited.
/// - `seed_name = "module::old_name"`: the name from which the test's seed is derived.
///   Default: the test's name. See [Renaming a test](#renaming-a-test).
/// - `crate = my_prelude::chaos`: the path to the harness. Default: `::clarity_chaos`.
///   See [A harness under another name](#a-harness-under-another-name).
///
/// Every other argument is a compile error.
///
/// # The description
///
/// The required doc comment describes the failure scenario. `--list`, the console and the reports
/// show this description. `#[doc = include_str!("scenario.md")]` and `#[doc = concat!(…)]` are doc
/// comments, too. An empty description is a compile error, even if it comes from a file.
///
/// # Ignored results
///
/// An ignored future or `Result` in the body is a compile error. An unawaited future does nothing,
/// and an ignored `Result` hides a failure. The function gets `#[deny(unused_must_use)]`, which
/// overrides the lint levels of the crate. Write `let _ =` to ignore a `Result` on purpose.
///
/// # Renaming a test
///
/// A test's seed is derived from the root seed and the test's name. `--list` shows this name: the
/// path of the function inside its crate. A renamed test therefore gets other faults. The entries
/// with the old name in `chaos_regressions/` match no test. `seed_name` keeps the derivation from
/// the old name:
///
/// ```ignore
/// /// A weight file with one flipped bit is refused.
/// #[chaos(seed_name = "corruption::one_bit")]
/// fn flipped_bit_is_refused(cx: Context) -> Result {
///     Ok(())
/// }
/// ```
///
/// - With every root seed, the test draws the same random values as under its old name.
/// - The entries for the old name in `chaos_regressions/` and in the history apply to the test.
/// - Selection, shards, reports, records and new regressions use the new name.
/// - It is an error if the seeds of two tests in one binary derive from the same name. The tests
///   would draw the same random values.
///
/// # A harness under another name
///
/// `crate` is the path to a harness that is renamed in `Cargo.toml` or re-exported:
///
/// ```ignore
/// use my_prelude::chaos::{Context, chaos};
///
/// /// A weight file with one flipped bit is refused.
/// #[chaos(crate = my_prelude::chaos)]
/// fn flipped_bit_is_refused(cx: Context) {}
///
/// my_prelude::chaos::main!();
/// ```
///
/// The path may be in quotes. In a `macro_rules!` macro, the path may begin with `$crate`. `main!`
/// and the oracles need no such option.
///
/// # Tests in a library
///
/// A library can register tests for the targets that depend on the library. Rust links a dependency
/// only if the target's source mentions the dependency by name. If the target uses no item of
/// `my_lib`, write `use my_lib as _;` next to `main!()`. Without this line, `--list` does not show
/// the tests of `my_lib`, and the harness cannot detect that the tests are missing. An entry in
/// `Cargo.toml` is not enough. A mention in another library counts only if the target mentions that
/// library. `#![warn(unused_crate_dependencies)]` in the test target reports each dependency that
/// is not mentioned. With an old Apple linker, a mention can be insufficient: call a function of
/// the library instead.
///
/// Tests in a library's `#[cfg(test)]` module are never part of another target.
#[proc_macro_attribute]
pub fn chaos(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let description = Description::of(&function.attrs);
    let (options, mut problems) = Options::parse(attribute.into());
    problems.extend(validate::problems(&function, &description, &options));

    // The output contains the refused function. Without the function, the compiler would report
    // further problems, such as unused imports.
    match problems.into_iter().reduce(|mut all, next| {
        all.combine(next);
        all
    }) {
        Some(error) => {
            let error = error.to_compile_error();
            quote::quote! { #error #[expect(dead_code, reason = "refused as a chaos test")] #function }.into()
        }
        None => expand::expand(&function, &description, &options).into(),
    }
}
