//! The bearer token that authorizes an operator.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::Digest;

/// The minimum length of a token, in characters. A token of 16 random hexadecimal digits contains
/// 64 random bits.
const SHORTEST: usize = 16;

/// A bearer token: <https://www.rfc-editor.org/rfc/rfc6750>.
// Keeps only the token's digest, so that neither a log nor a memory dump reveals the token.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Digest);

/// The error of a text that is not a [`BearerToken`]. The error does not contain the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
#[error(
    "expected a token of {SHORTEST} or more characters: letters, digits and -._~+/, then any number of ="
)]
pub struct InvalidToken;

impl FromStr for BearerToken {
    type Err = InvalidToken;

    /// Accepts a `b64token` of RFC 6750 with at least 16 characters before its `=` padding.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let letters = text.trim_end_matches('=').bytes();
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if letters.len() < SHORTEST || !letters.into_iter().all(valid) {
            return Err(InvalidToken);
        }
        Ok(Self(Digest::of(text.as_bytes())))
    }
}

impl BearerToken {
    /// Whether the value of an `Authorization` header contains this token. The comparison takes the
    /// same time for all tokens of the same length.
    pub(crate) fn admits(&self, authorization: &[u8]) -> bool {
        const SCHEME: &[u8] = b"bearer ";
        let Some((scheme, token)) = authorization.split_at_checked(SCHEME.len()) else {
            return false;
        };
        let same = Digest::of(token).as_bytes().ct_eq(self.0.as_bytes());
        scheme.eq_ignore_ascii_case(SCHEME) && bool::from(same)
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789-._~+/==";

    #[test]
    fn admits_accepts_only_the_same_token() {
        let token: BearerToken = TOKEN.parse().unwrap();
        for good in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
            assert!(token.admits(good.as_bytes()), "{good}");
        }
        for bad in [
            String::new(),
            TOKEN.to_owned(),
            "Bearer ".to_owned(),
            format!("Basic  {TOKEN}"),
            format!("Bearer  {TOKEN}"),
            format!("Bearer {TOKEN}="),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Bearer {}", TOKEN.to_uppercase().replace('0', "1")),
        ] {
            assert!(!token.admits(bad.as_bytes()), "{bad}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn parse_refuses_short_and_malformed_tokens() {
        for bad in [
            "",
            "short",
            "================",
            "0123456789 012345",
            "0123456789=012345",
            "0123456789é012345",
        ] {
            assert_eq!(bad.parse::<BearerToken>(), Err(InvalidToken), "{bad}");
        }
    }
}
