//! The description of a test's scenario, from the `doc` attributes of its function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The error message for a function without a description.
pub(crate) const MISSING: &str = "a chaos test needs a doc comment: \
     say what fails in this scenario, and what must still hold. \
     --list, the console and the reports show it";

/// The description of a scenario.
pub(crate) enum Description {
    /// The text of doc comments and string literals, trimmed line by line.
    Text(String),
    /// The arguments for `concat!`. At least one is a macro call such as `include_str!`, which
    /// the compiler expands.
    Parts(Vec<TokenStream>),
}

impl Description {
    /// Reads the description from the `#[doc = …]` attributes. All other attributes are ignored.
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        let mut text = String::new();
        let mut parts = Vec::new();
        for attribute in attributes {
            let Meta::NameValue(pair) = &attribute.meta else {
                continue;
            };
            if !pair.path.is_ident("doc") {
                continue;
            }
            if let Some(line) = literal(&pair.value) {
                text.push_str(line.trim());
            } else {
                if !text.is_empty() {
                    parts.push(text.to_token_stream());
                    text.clear();
                }
                parts.push(pair.value.to_token_stream());
            }
            text.push('\n');
        }
        if parts.is_empty() {
            return Self::Text(text.trim().to_owned());
        }
        parts.push(text.to_token_stream());
        Self::Parts(parts)
    }

    /// Whether the description is known to be empty. False for a description with macro calls: its
    /// text is unknown until the compiler expands the calls.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Returns a constant expression of type `&'static str`: the trimmed description.
    ///
    /// The expression is a compile error at `span` if the macro calls expand to an empty text.
    pub(crate) fn expression(&self, span: Span) -> TokenStream {
        match self {
            Self::Text(text) => text.to_token_stream(),
            Self::Parts(parts) => {
                let check = quote_spanned! { span=>
                    ::core::assert!(!text.is_empty(), #MISSING);
                };
                quote! {
                    const {
                        let text: &'static ::core::primitive::str =
                            ::core::concat!(#(#parts),*).trim_ascii();
                        #check
                        text
                    }
                }
            }
        }
    }
}

/// Returns the text of a string literal, and `None` for any other expression.
fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        // An invisible group surrounds a literal that a `macro_rules!` macro passed on.
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
