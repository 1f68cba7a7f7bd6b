//! The token of those who may change what a server does.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::Digest;

/// The shortest token, in characters: in hexadecimal, 64 bits.
const SHORTEST: usize = 16;

/// A bearer token: <https://www.rfc-editor.org/rfc/rfc6750>. Only its digest is kept, so that neither a log nor a dump
/// of memory tells it.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Digest);

/// Why a text is not a [`BearerToken`]. It does not tell the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "expected a token of {SHORTEST} or more characters, each a letter, a digit or one of -._~+/, with = at its end only"
)]
pub struct InvalidToken;

impl FromStr for BearerToken {
    type Err = InvalidToken;

    /// As `b64token` in RFC 6750, and not so short that it can be guessed.
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
    /// Whether the value of a request's `Authorization` has this token. Takes as long for any token of the same length,
    /// whatever it has in common with this one.
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
    fn a_token_admits_itself_and_nothing_else() {
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
    fn what_can_be_guessed_or_not_be_sent_is_no_token() {
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
