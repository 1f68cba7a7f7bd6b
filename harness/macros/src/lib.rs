#![doc = include_str!("../README.md")]
//!
//! A test function passes through four modules: `options` parses the arguments of the attribute,
//! `description` reads the doc comment, `validate` refuses functions that cannot be tests,
//! and `expand` writes the registration.

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
/// The function is sync or async, takes a `Context` or nothing, and returns `()` or a `Result`.
/// The error of that `Result` converts into `Box<dyn Error + Send + Sync>`.
///
/// # Arguments
///
/// A word is a tag to select by; the harness knows `slow` and `non_destructive`. The options are:
///
/// - `timeout = "10s"`: the limit of real time, in the format of `humantime` (`500ms`, `2m`,
///   `1m 30s`). Default: `--timeout`, 30 s.
/// - `clock = "real"`: real time; async tests run on a multi-threaded runtime. The default.
/// - `clock = "paused"`: async only. Virtual time jumps to the next timer when all tasks are idle;
///   for code without peers outside the runtime.
/// - `clock = "manual"`: async only. Virtual time moves when the test advances it; sockets and
///   files are usable.
/// - `memory = "512MiB"`: private writable memory (`KiB`, `MiB`, `GiB`). Allocations beyond it
///   fail. Linux only. Default: unlimited.
/// - `open_files = 64`: descriptors, those of the harness (about ten) included. Opening more fails.
///   Linux only. Default: the system's limit.
/// - `cpu = "10s"`: CPU time of all threads, in whole seconds. Beyond it the process is killed.
///   Linux only. Default: unlimited.
/// - `seed_name = "module::old_name"`: the name that the test's seed is derived from.
///   Default: the test's name. See [Renaming a test](#renaming-a-test).
/// - `crate = my_prelude::chaos`: the path to the harness. Default: `::clarity_chaos`.
///   See [A harness under another name](#a-harness-under-another-name).
///
/// Every other argument is a compile error.
///
/// # The description
///
/// The doc comment describes the failure scenario, and is required: `--list`, the console and the
/// reports show it. `#[doc = include_str!("scenario.md")]` and `#[doc = concat!(…)]` count, too.
/// A file that turns out to be empty is a compile error.
///
/// # Ignored results
///
/// An ignored future or `Result` in the body is a compile error: an unawaited future has done
/// nothing. The function gets `#[deny(unused_must_use)]`, which overrides the lint levels of the
/// crate. Write `let _ =` to ignore a result on purpose.
///
/// # Renaming a test
///
/// A test's seed is derived from the root seed and the test's name: its path inside its crate,
/// as `--list` shows it. A renamed test therefore draws other faults, and its entries in
/// `chaos_regressions/` name no test any more. `seed_name` keeps the derivation of the old name:
///
/// ```ignore
/// /// A weight file with one flipped bit is refused.
/// #[chaos(seed_name = "corruption::one_bit")]
/// fn flipped_bit_is_refused(cx: Context) -> Result {
///     Ok(())
/// }
/// ```
///
/// - The test draws with every root seed what it drew under its old name.
/// - The seeds that `chaos_regressions/` and the history hold for the old name count as its own.
/// - Selection, shards, reports, records and new regressions use the new name.
/// - Two tests of one binary with the same derivation are an error: they would draw the same
///   numbers.
///
/// # A harness under another name
///
/// `crate` names the harness where it is renamed in `Cargo.toml` or re-exported:
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
/// The path may stand in quotes, and may begin with `$crate` in a `macro_rules!` macro.
/// `main!` and the oracles need no such option.
///
/// # Tests in a library
///
/// A library can register tests for the targets that depend on it. Rust links a dependency only
/// if the source mentions it: write `use my_lib as _;` next to `main!()` where nothing else of
/// `my_lib` is used. Without the line the tests of `my_lib` are missing from `--list`, and the
/// harness cannot know of them. An entry in `Cargo.toml` alone does not suffice, and neither does
/// a mention by a library that itself is not mentioned. `#![warn(unused_crate_dependencies)]` in
/// the test target names each dependency that is not mentioned. With an old linker of Apple a
/// mention can be too little: call a function of the library instead.
///
/// Tests in a `#[cfg(test)]` module of a library are never part of another target.
#[proc_macro_attribute]
pub fn chaos(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let description = Description::of(&function.attrs);
    let (options, mut problems) = Options::parse(attribute.into());
    problems.extend(validate::problems(&function, &description, &options));

    // The output contains the refused function, so that the compiler reports the refusal alone.
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
