//! The registration that `#[chaos]` puts beside the function.

use crate::options::{Clock, Options};
use crate::validate::description;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{ItemFn, ReturnType};

pub(crate) fn expand(function: &ItemFn, options: &Options) -> TokenStream {
    let name = &function.sig.ident;
    let path_end = name.unraw().to_string();
    let description = description(function);
    let tags = &options.tags;
    // A function that is compiled out must not be registered.
    let conditions = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));

    let timeout = match options.timeout {
        Some(limit) => {
            let (seconds, nanoseconds) = (limit.as_secs(), limit.subsec_nanos());
            quote! { ::core::option::Option::Some(::core::time::Duration::new(#seconds, #nanoseconds)) }
        }
        None => quote! { ::core::option::Option::None },
    };
    let clock = match options.clock {
        Clock::Real => quote! { Real },
        Clock::Paused => quote! { Paused },
        Clock::Manual => quote! { Manual },
    };
    let number = |limit: Option<u64>| match limit {
        Some(limit) => quote! { ::core::option::Option::Some(#limit) },
        None => quote! { ::core::option::Option::None },
    };
    let (memory, open_files, cpu) = (
        number(options.memory),
        number(options.open_files),
        number(options.cpu),
    );
    // Where the compiler shall point when the argument or the result has the wrong type.
    let at = |span: Span| Span::call_site().located_at(span);
    let call = match function.sig.inputs.first() {
        None => quote! { { let _ = context; #name() } },
        Some(argument) => quote_spanned! { at(argument.span())=> #name(context) },
    };
    let result = match &function.sig.output {
        ReturnType::Default => at(name.span()),
        ReturnType::Type(_, result) => at(result.span()),
    };
    let body = if function.sig.asyncness.is_some() {
        let outcome = quote_spanned! { result=> private::IntoOutcome::into_outcome(#call.await) };
        quote! {
            private::Body::Async(|context| ::std::boxed::Box::pin(async move { #outcome }))
        }
    } else {
        let outcome = quote_spanned! { result=> private::IntoOutcome::into_outcome(#call) };
        quote! { private::Body::Sync(|context| #outcome) }
    };

    quote! {
        // A future that nobody awaits has done nothing, and a result that nobody looks at has shown nothing.
        #[deny(unused_must_use, clippy::let_underscore_future)]
        #function

        #(#conditions)*
        const _: () = {
            use ::clarity_chaos::__private as private;
            private::inventory::submit! {
                private::TestCase::new(
                    ::core::concat!(::core::module_path!(), "::", #path_end),
                    &[#(#tags),*],
                    #description,
                    #timeout,
                    private::ClockKind::#clock,
                    private::Limits {
                        memory: #memory,
                        open_files: #open_files,
                        cpu: #cpu,
                    },
                    ::core::file!(),
                    ::core::line!(),
                    #body,
                )
            }
        };
    }
}
