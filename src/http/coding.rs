//! Content codings of requests and responses: RFC 9110, sections 8.4 and 12.5.3.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::Reason;
use crate::predictor::Failure;
use crate::sanitize::sanitize_for_log;

/// The codings that the server reads, as the value of the header `Accept-Encoding`.
pub(super) const SUPPORTED: &str = "gzip, deflate";

/// A compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    /// The gzip format, RFC 1952, of one or more members.
    Gzip,
    /// The zlib format, RFC 1950. The server also reads the raw deflate format, RFC 1951.
    // RFC 9110, section 8.4.1.2, notes that some clients send the raw format.
    Deflate,
}

/// The codings of the response that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AcceptedCodings {
    /// The preferred coding; `None` if the client prefers or accepts only an uncompressed response.
    pub(super) coding: Option<ContentCoding>,
    /// Whether the client accepts an uncompressed response.
    pub(super) identity: bool,
}

impl ContentCoding {
    /// The coding of a request body; `None` if the body is not compressed.
    ///
    /// Refuses unknown codings, and more than one coding.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        if !headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        let found = tokens(headers, CONTENT_ENCODING);
        let codings: Vec<&str> = found
            .iter()
            .copied()
            .filter(|coding| !coding.eq_ignore_ascii_case("identity"))
            .collect();
        match codings[..] {
            [] => Ok(None),
            [name] if Self::parse(name).is_some() => Ok(Self::parse(name)),
            _ => Err(Failure::new(
                Reason::UnsupportedEncoding,
                format!(
                    "Content-Encoding: expected one of gzip, deflate and identity, found {}",
                    sanitize_for_log(found.join(", "))
                ),
            )),
        }
    }

    /// Parses a name, which is case-insensitive. `x-gzip` is an old name of `gzip`.
    fn parse(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }

    /// The coding's name in `Content-Encoding`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

impl AcceptedCodings {
    /// The client accepts only an uncompressed response.
    const IDENTITY: Self = Self {
        coding: None,
        identity: true,
    };

    /// Reads `Accept-Encoding`. Prefers the highest quality, then gzip, then deflate.
    ///
    /// Ignores malformed members. Without the header, only an uncompressed response is accepted.
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return Self::IDENTITY;
        }
        let [mut gzip, mut deflate, mut identity, mut any] = [None; 4];
        for member in tokens(headers, ACCEPT_ENCODING) {
            let Some((name, quality)) = weighted(member) else {
                continue;
            };
            let slot = match ContentCoding::parse(name) {
                Some(ContentCoding::Gzip) => &mut gzip,
                Some(ContentCoding::Deflate) => &mut deflate,
                None if name.eq_ignore_ascii_case("identity") => &mut identity,
                None if name == "*" => &mut any,
                None => continue,
            };
            *slot = (*slot).max(Some(quality));
        }
        let quality = |named: Option<u16>| named.or(any).unwrap_or(0);
        let (gzip, deflate) = (quality(gzip), quality(deflate));
        let best = if deflate > gzip {
            (ContentCoding::Deflate, deflate)
        } else {
            (ContentCoding::Gzip, gzip)
        };
        let identity = identity.or(any);
        // A client that does not name `identity` accepts it, but prefers any coding that it names.
        let wanted = best.1 > 0 && identity.is_none_or(|identity| best.1 >= identity);
        Self {
            coding: wanted.then_some(best.0),
            identity: identity != Some(0),
        }
    }
}

/// The members of a list in one or more headers of this name, without empty members.
fn tokens(headers: &HeaderMap, name: axum::http::HeaderName) -> Vec<&str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("an invalid text").split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .collect()
}

/// Splits a member of `Accept-Encoding` into the coding and its quality in thousandths.
fn weighted(member: &str) -> Option<(&str, u16)> {
    let Some((name, weight)) = member.split_once(';') else {
        return Some((member, 1000));
    };
    let weight = weight.trim();
    let value = weight
        .strip_prefix("q=")
        .or_else(|| weight.strip_prefix("Q="))?;
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    let is_valid = digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths: u16 = format!("{digits:0<3}").parse().ok().filter(|_| is_valid)?;
    match (whole, thousandths) {
        ("0", _) => Some((name.trim(), thousandths)),
        ("1", 0) => Some((name.trim(), 1000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn content_encoding_names_at_most_one_known_coding() {
        use ContentCoding::{Deflate, Gzip};
        let of = |values: &[&str]| {
            ContentCoding::of_request(&headers("content-encoding", values))
                .map_err(|failure| failure.reason)
        };
        for (values, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&["Identity", "identity"], None),
            (&["gzip"], Some(Gzip)),
            (&["X-GZip"], Some(Gzip)),
            (&["deflate, ,"], Some(Deflate)),
            (&["identity", "DEFLATE"], Some(Deflate)),
        ] {
            assert_eq!(of(values), Ok(expected), "{values:?}");
        }
        for values in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "deflate"],
            &["zstd, gzip"],
            &["gzip;q=1"],
            &["*"],
            &["gzip deflate"],
        ] {
            assert_eq!(of(values), Err(Reason::UnsupportedEncoding), "{values:?}");
        }
    }

    #[test]
    fn accept_encoding_selects_by_quality() {
        let of = |values: &[&str]| {
            let accepted = AcceptedCodings::of_request(&headers("accept-encoding", values));
            (
                accepted.coding.map(ContentCoding::as_str),
                accepted.identity,
            )
        };
        for (values, coding, identity) in [
            (&[][..], None, true),
            (&[""], None, true),
            (&["gzip"], Some("gzip"), true),
            (&["deflate"], Some("deflate"), true),
            (&["deflate, gzip"], Some("gzip"), true),
            (&["deflate", "x-gzip;q=0.5"], Some("deflate"), true),
            (&["gzip;q=0.8, deflate;q=0.801"], Some("deflate"), true),
            (&["GZIP ; Q=0.001"], Some("gzip"), true),
            (&["gzip;q=0"], None, true),
            (&["gzip;q=0.000, *"], Some("deflate"), true),
            (&["*"], Some("gzip"), true),
            (&["*;q=0"], None, false),
            (&["gzip, *;q=0"], Some("gzip"), false),
            (&["gzip, identity;q=0"], Some("gzip"), false),
            (&["identity;q=0"], None, false),
            (&["identity, *;q=0"], None, true),
            (&["gzip;q=0.5, identity"], None, true),
            (&["gzip, identity"], Some("gzip"), true),
            (&["br, zstd"], None, true),
            (&["gzip;q=2"], None, true),
            (&["gzip;q=1.001"], None, true),
            (&["gzip;q=0.0001"], None, true),
            (&["gzip;level=9"], None, true),
            (&["gzip;q=+1, deflate;q="], None, true),
        ] {
            assert_eq!(of(values), (coding, identity), "{values:?}");
        }
    }
}
