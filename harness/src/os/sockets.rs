//! Describes sockets by their addresses in the system's tables. `/proc/PID/fd` shows only the
//! number of a socket.

use crate::os::proc_text::read_lossy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Describes the target of a descriptor's symlink in `/proc/PID/fd`. Adds the addresses if the
/// target is a socket. Returns any other target unchanged.
pub(crate) fn describe(target: &str) -> String {
    let inode = target
        .strip_prefix("socket:[")
        .and_then(|rest| rest.strip_suffix(']'))
        // Closed connections have inode 0 in the tables.
        .filter(|inode| *inode != "0");
    let known = inode.and_then(|inode| {
        let internet = ["tcp", "tcp6", "udp", "udp6"];
        let mut found = internet.into_iter().filter_map(|table| {
            let text = read_lossy(format!("/proc/self/net/{table}")).ok()?;
            find_internet(&text, inode)
                .map(|addresses| format!("{} {addresses}", table.trim_end_matches('6')))
        });
        found.next().or_else(|| {
            let text = read_lossy("/proc/self/net/unix").ok()?;
            find_unix(&text, inode)
        })
    });
    match known {
        Some(known) => format!("{target}, {known}"),
        None => target.to_owned(),
    }
}

/// Finds the socket with this inode in a table of TCP or UDP sockets. Gives the socket's addresses.
///
/// The lines of the table are `sl local_address rem_address st … uid timeout inode …`. Addresses
/// are hexadecimal.
fn find_internet(table: &str, inode: &str) -> Option<String> {
    const LISTENING: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.get(9) != Some(&inode) {
            return None;
        }
        let (local, peer) = (address(fields[1])?, address(fields[2])?);
        Some(if fields[3] == LISTENING {
            format!("listening on {local}")
        } else if peer.port() == 0 {
            format!("bound to {local}")
        } else {
            format!("{local} to {peer}")
        })
    })
}

/// Parses an address such as `0100007F:1F90`. The IP address consists of 32-bit words in the
/// machine's byte order. The port follows the colon.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..ip.len() / 8)
        .map(|word| {
            let word = u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect();
    let ip = match words?.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        words => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
    };
    Some(SocketAddr::new(ip, port))
}

/// Finds the socket with this inode in the table of Unix sockets. The lines of the table are `Num
/// RefCount Protocol Flags Type St Inode Path`.
fn find_unix(table: &str, inode: &str) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.nth(6) == Some(inode)).then(|| match fields.next() {
            Some(path) => format!("unix {path}"),
            None => "unix, unnamed".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    #[test]
    #[cfg(target_os = "linux")]
    fn listening_socket_is_described_with_its_address() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(ip) else {
                continue;
            };
            let link = format!("/proc/self/fd/{}", listener.as_raw_fd());
            let target = fs::read_link(link).unwrap().display().to_string();
            let description = describe(&target);
            let address = listener.local_addr().unwrap();
            assert_eq!(description, format!("{target}, tcp listening on {address}"));
        }
    }

    #[test]
    fn target_without_a_table_entry_is_given_unchanged() {
        assert_eq!(describe("pipe:[17]"), "pipe:[17]");
        assert_eq!(describe("socket:[0]"), "socket:[0]");
    }

    #[test]
    fn unix_socket_without_path_is_described_as_unnamed() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
                     0000: 00000003 00000000 00000000 0001 03 1072\n\
                     0000: 00000002 00000000 00010000 0001 01 88 /run/a b\n";
        assert_eq!(find_unix(table, "1072").unwrap(), "unix, unnamed");
        assert_eq!(find_unix(table, "88").unwrap(), "unix /run/a");
        assert_eq!(find_unix(table, "3"), None);
    }
}
