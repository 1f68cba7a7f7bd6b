//! The framing of a message's body, as its header fields declare it.

use httparse::Header;

/// The framing of a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::test::network) enum Framing {
    /// The body has this number of bytes.
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

impl Framing {
    pub(super) const EMPTY: Self = Self::Length(0);

    pub(in crate::test::network) fn is_empty(self) -> bool {
        self == Self::EMPTY
    }
}

/// Returns the framing that the header fields declare; `None` if they declare none.
///
/// # Errors
///
/// When recipients disagree about the framing.
// RFC 9112, section 6.3, lets a recipient repair some of these messages or reject them. A fault
// cannot know the choice of the client, so it must not choose itself.
pub(super) fn declared(headers: &[Header<'_>], minor: u8) -> Result<Option<Framing>, String> {
    let lengths: Vec<&[u8]> = values(headers, "content-length").collect();
    let codings: Vec<&[u8]> = tokens(headers, "transfer-encoding").collect();
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) => Ok(Some(Framing::Length(number(length)?))),
        (_, []) => Err("several `Content-Length` fields".to_owned()),
        ([], _) if minor == 0 => Err("`Transfer-Encoding` in HTTP/1.0".to_owned()),
        ([], [others @ .., last]) => {
            let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
            if is_chunked(last) && !others.iter().any(is_chunked) {
                return Ok(Some(Framing::Chunked));
            }
            let codings = codings.join(&b", "[..]);
            let codings = codings.escape_ascii();
            Err(format!("a `Transfer-Encoding` of `{codings}`"))
        }
        _ => Err("both `Content-Length` and `Transfer-Encoding`".to_owned()),
    }
}

fn number(length: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(length).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("a `Content-Length` of `{}`", length.escape_ascii()))
}

/// Returns the values of each header field with this name.
fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let fields = headers.iter();
    let fields = fields.filter(move |header| header.name.eq_ignore_ascii_case(name));
    fields.map(|header| header.value.trim_ascii())
}

/// Returns the elements of the comma-separated lists in the header fields with this name.
pub(super) fn tokens<'a>(
    headers: &'a [Header<'a>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}
