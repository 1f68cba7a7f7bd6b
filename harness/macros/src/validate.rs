//! Which functions can be chaos tests.

use crate::options::{Clock, Options};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Expr, ExprLit, ItemFn, Lit, Meta};

/// Everything that keeps `function` from being a chaos test; empty when it is one.
pub(crate) fn problems(function: &ItemFn, options: &Options) -> Vec<Error> {
    let mut problems = Vec::new();
    let mut refuse = |span, message: &str| problems.push(Error::new(span, message));
    let signature = &function.sig;

    if description(function).is_empty() {
        refuse(
            signature.ident.span(),
            "a chaos test needs a doc comment: what goes wrong in this scenario, and what must hold all the same. \
             It is shown by --list, the console and the reports",
        );
    }
    if !signature.generics.params.is_empty() {
        refuse(
            signature.generics.span(),
            "a chaos test cannot be generic: the harness would not know what to call it with",
        );
    }
    if let Some(where_clause) = &signature.generics.where_clause {
        refuse(
            where_clause.span(),
            "a chaos test cannot have a `where` clause",
        );
    }
    if signature.inputs.len() > 1 {
        refuse(
            signature.inputs.span(),
            "a chaos test takes one `clarity_chaos::Context`, or nothing",
        );
    }
    if let Some(token) = &signature.constness {
        refuse(token.span(), "a chaos test cannot be `const`");
    }
    if let Some(token) = &signature.unsafety {
        refuse(
            token.span(),
            "a chaos test cannot be `unsafe`: put the unsafe block inside",
        );
    }
    if let Some(abi) = &signature.abi {
        refuse(abi.span(), "a chaos test cannot have a foreign ABI");
    }
    if signature.asyncness.is_none() && options.clock != Clock::Real {
        refuse(
            options
                .clock_span
                .unwrap_or_else(|| signature.fn_token.span()),
            "a virtual clock needs an async test: it is Tokio's clock that is paused. Write `async fn`, or drop the option",
        );
    }
    for attribute in &function.attrs {
        if let Some(advice) = clash(attribute) {
            refuse(attribute.span(), advice);
        }
    }
    problems
}

/// The doc comment as text, trimmed; its paragraphs stay apart.
pub(crate) fn description(function: &ItemFn) -> String {
    let mut text = String::new();
    for attribute in &function.attrs {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }) = &pair.value
        {
            text.push_str(line.value().trim());
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

/// Attributes of other harnesses, with what to write instead.
fn clash(attribute: &Attribute) -> Option<&'static str> {
    let last = attribute.path().segments.last()?.ident.to_string();
    match last.as_str() {
        "test" => Some("`#[chaos]` registers the function itself: remove `#[test]`"),
        "ignore" => Some(
            "chaos tests are selected by tags: tag it (`#[chaos(slow)]`, then `--skip-tag slow`), or skip at run time with `cx.skip(reason)?`",
        ),
        "should_panic" => Some(
            "declare the panic where it is expected: `cx.expect_panic(\"part of its message\")`",
        ),
        _ => None,
    }
}
