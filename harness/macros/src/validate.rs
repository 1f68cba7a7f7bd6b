//! Checks whether a function can be a chaos test.

use crate::description::{self, Description};
use crate::options::{Clock, Options};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, ItemFn};

/// Returns an error for each reason why `function` cannot be a chaos test.
pub(crate) fn problems(
    function: &ItemFn,
    description: &Description,
    options: &Options,
) -> Vec<Error> {
    let mut problems = Vec::new();
    let mut refuse = |span, message: &str| problems.push(Error::new(span, message));
    let signature = &function.sig;

    if description.is_empty() {
        refuse(signature.ident.span(), description::MISSING);
    }
    if !signature.generics.params.is_empty() {
        refuse(
            signature.generics.span(),
            "a chaos test cannot be generic: the harness cannot choose the parameters. Write a test for each",
        );
    }
    if let Some(where_clause) = &signature.generics.where_clause {
        refuse(
            where_clause.span(),
            "a chaos test cannot have a `where` clause: remove it",
        );
    }
    if signature.inputs.len() > 1 {
        refuse(
            signature.inputs.span(),
            &format!(
                "a chaos test takes one `clarity_chaos::Context` or nothing, found {} parameters: remove the others",
                signature.inputs.len()
            ),
        );
    }
    if let Some(token) = &signature.constness {
        refuse(
            token.span(),
            "a chaos test cannot be `const`: remove the word",
        );
    }
    if let Some(token) = &signature.unsafety {
        refuse(
            token.span(),
            "a chaos test cannot be `unsafe`: move the unsafe block inside",
        );
    }
    if let Some(abi) = &signature.abi {
        refuse(
            abi.span(),
            "a chaos test cannot have a foreign ABI: remove `extern`",
        );
    }
    if signature.asyncness.is_none() && options.clock != Clock::Real {
        refuse(
            options
                .clock_span
                .unwrap_or_else(|| signature.fn_token.span()),
            "a virtual clock needs an async test, because it is Tokio's: write `async fn`, or remove the option",
        );
    }
    for attribute in &function.attrs {
        if let Some(advice) = clash(attribute) {
            refuse(attribute.span(), advice);
        }
    }
    problems
}

/// Returns advice for an attribute of the standard test harness, and `None` for other attributes.
fn clash(attribute: &Attribute) -> Option<&'static str> {
    let last = attribute.path().segments.last()?.ident.to_string();
    match last.as_str() {
        "test" => Some("`#[chaos]` registers the function already: remove `#[test]`"),
        "ignore" => Some(
            "`#[ignore]` has no effect on a chaos test: tag it (`#[chaos(slow)]`, then `--skip-tag slow`), or skip at run time with `cx.skip(reason)?`",
        ),
        "should_panic" => Some(
            "`#[should_panic]` has no effect on a chaos test: declare the panic with `cx.expect_panic(\"part of its message\")`",
        ),
        _ => None,
    }
}
