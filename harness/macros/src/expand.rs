//! Generates the code that registers a test function.

use crate::description::Description;
use crate::options::{Clock, Options};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{ItemFn, ReturnType};

pub(crate) fn expand(
    function: &ItemFn,
    description: &Description,
    options: &Options,
) -> TokenStream {
    let name = &function.sig.ident;
    let path_end = name.unraw().to_string();
    let description = description.expression(name.span());
    // The generated code imports nothing: an import could shadow the first segment of `crate_path`.
    let private_at = |span: Span| match &options.crate_path {
        Some(path) => quote_spanned! { span=> #path::__private },
        None => quote_spanned! { span=> ::clarity_chaos::__private },
    };
    let private = private_at(Span::call_site());
    let settings = settings(options, &private);
    let body = body(function, private_at);
    // A function that `#[cfg]` removes must not be registered.
    let conditions = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));

    quote! {
        // An unawaited future does nothing, and an ignored result hides a failure.
        #[deny(unused_must_use, clippy::let_underscore_future)]
        #function

        #(#conditions)*
        const _: () = {
            #private::inventory::submit! {
                #private::TestCase::new(
                    ::core::concat!(::core::module_path!(), "::", #path_end),
                    #description,
                    ::core::file!(),
                    ::core::line!(),
                    &#body,
                )
                .with_column(::core::column!())
                #settings
            }
        };
    }
}

/// Generates the calls that add the attribute's tags and options to the registration.
fn settings(options: &Options, private: &TokenStream) -> TokenStream {
    let mut settings = TokenStream::new();
    let tags = &options.tags;
    if !tags.is_empty() {
        settings.extend(quote! { .with_tags(&[#(#tags),*]) });
    }
    if let Some(limit) = options.timeout {
        let (seconds, nanoseconds) = (limit.as_secs(), limit.subsec_nanos());
        settings.extend(quote! {
            .with_timeout(::core::time::Duration::new(#seconds, #nanoseconds))
        });
    }
    match options.clock {
        Clock::Real => {}
        Clock::Paused => settings.extend(quote! { .with_clock(#private::ClockKind::Paused) }),
        Clock::Manual => settings.extend(quote! { .with_clock(#private::ClockKind::Manual) }),
    }
    if let Some(bytes) = options.memory {
        settings.extend(quote! { .with_memory_limit(#bytes) });
    }
    if let Some(count) = options.open_files {
        settings.extend(quote! { .with_open_files_limit(#count) });
    }
    if let Some(seconds) = options.cpu {
        settings.extend(quote! { .with_cpu_limit(#seconds) });
    }
    if let Some(name) = &options.seed_name {
        settings.extend(quote! { .with_seed_name(#name) });
    }
    settings
}

/// Generates the closure that calls the function and converts the result into an outcome.
fn body(function: &ItemFn, private_at: impl Fn(Span) -> TokenStream) -> TokenStream {
    let name = &function.sig.ident;
    // Generated code gets the span of the argument or of the result type. The compiler then reports
    // a wrong type at that place in the test.
    let at = |span: Span| Span::call_site().located_at(span);
    let call = match function.sig.inputs.first() {
        None => quote! { { let _ = context; #name() } },
        Some(argument) => quote_spanned! { at(argument.span())=> #name(context) },
    };
    let result = match &function.sig.output {
        ReturnType::Default => at(name.span()),
        ReturnType::Type(_, result) => at(result.span()),
    };
    let (private, private_result) = (private_at(Span::call_site()), private_at(result));
    if function.sig.asyncness.is_some() {
        let outcome =
            quote_spanned! { result=> #private_result::IntoOutcome::into_outcome(#call.await) };
        quote! {
            #private::Body::Async(|context| ::std::boxed::Box::pin(async move { #outcome }))
        }
    } else {
        let outcome = quote_spanned! { result=> #private_result::IntoOutcome::into_outcome(#call) };
        quote! { #private::Body::Sync(|context| #outcome) }
    }
}
