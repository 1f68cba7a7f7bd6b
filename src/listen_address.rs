//! The addresses that a server listens on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// An address to listen on.
///
/// ```
/// use clarity::ListenAddress;
///
/// let all: ListenAddress = ":8080".parse()?;
/// assert_eq!(all, ListenAddress::AllInterfaces(8080));
/// assert_eq!("localhost:8080".parse::<ListenAddress>()?.to_string(), "http://localhost:8080");
/// assert_eq!("unix:/run/clarity".parse::<ListenAddress>()?.to_string(), "unix:/run/clarity");
/// # Ok::<(), clarity::InvalidListenAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// One IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`.
    Ip(SocketAddr),
    /// All addresses of a host name and a port, such as `localhost:8080`.
    Host(String, u16),
    /// A port on all interfaces, IPv4 and IPv6, such as `:8080`.
    AllInterfaces(u16),
    /// The path of a Unix socket, such as `unix:/run/clarity.sock`.
    Unix(PathBuf),
}

/// The error for a text that is not a [`ListenAddress`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "expected an address such as 127.0.0.1:8080, [::1]:8080, localhost:8080, :8080 (all interfaces) \
     or unix:/run/clarity.sock, found {found:?}{}",
    hint(found)
)]
pub struct InvalidListenAddress {
    found: String,
}

/// Advice for frequent mistakes.
fn hint(found: &str) -> &'static str {
    match found {
        _ if found.contains("://") => ": leave out the scheme",
        _ if found.parse::<IpAddr>().is_ok() || is_host(found) => ": the port is missing",
        "unix:" => ": the path is missing",
        _ => "",
    }
}

/// Whether `text` can be a host name.
fn is_host(text: &str) -> bool {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(is_label)
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        let invalid = || InvalidListenAddress {
            found: text.chars().take(120).collect(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = !path.is_empty() && !path.contains('\0');
            return is_path.then(|| Self::Unix(path.into())).ok_or_else(invalid);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        // `u16` also parses a leading plus sign.
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number);
        let port: u16 = port.ok_or_else(invalid)?;
        match host {
            "" => Ok(Self::AllInterfaces(port)),
            host if is_host(host) => Ok(Self::Host(host.to_owned(), port)),
            _ => Err(invalid()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "http://{address}"),
            Self::Host(host, port) => write!(f, "http://{host}:{port}"),
            Self::AllInterfaces(port) => write!(f, "http://[::]:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_each_form() {
        for (text, expected) in [
            ("127.0.0.1:0", ListenAddress::Ip(([127, 0, 0, 1], 0).into())),
            ("[::1]:80", ListenAddress::Ip("[::1]:80".parse().unwrap())),
            ("localhost:80", ListenAddress::Host("localhost".into(), 80)),
            (
                "a-b.c_d:65535",
                ListenAddress::Host("a-b.c_d".into(), 65535),
            ),
            (":0", ListenAddress::AllInterfaces(0)),
            ("unix:/a b", ListenAddress::Unix("/a b".into())),
            ("unix:x:1", ListenAddress::Unix("x:1".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn parse_refuses_other_texts_with_a_hint() {
        for (text, hint) in [
            ("", ""),
            (":", ""),
            ("8080", "the port is missing"),
            ("localhost", "the port is missing"),
            ("::1", "the port is missing"),
            ("localhost:", ""),
            ("localhost:65536", ""),
            ("localhost:+80", ""),
            ("::1:8080x", ""),
            ("http://localhost:80", "leave out the scheme"),
            ("unix:", "the path is missing"),
            ("unix:a\0b", ""),
            ("*:80", ""),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains("expected an address such as"), "{error}");
            assert!(error.ends_with(hint), "{text}: {error}");
        }
    }
}
