//! The listening sockets of one address.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, lookup_host};

use super::stream::Stream;
#[cfg(unix)]
use super::unix_socket::UnixSocket;
use crate::ListenAddress;

/// The number of attempts to find one port that is free on all addresses of a host name.
const PORT_ATTEMPTS: usize = 8;

/// The listening sockets of one [`ListenAddress`].
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<ListeningSocket>,
    /// The socket that is polled first the next time.
    next: usize,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl Listener {
    /// Listens on `address`. Port 0 selects a free port, which is the same on all addresses of a
    /// host name.
    ///
    /// # Errors
    ///
    /// When a socket cannot be bound. An IP address of a host name is skipped if this machine does
    /// not have the address, unless that applies to each of them.
    pub(super) async fn bind(address: &ListenAddress) -> io::Result<Self> {
        let sockets = match address {
            ListenAddress::Ip(address) => vec![ListeningSocket::Tcp(bind_tcp(*address).await?)],
            ListenAddress::Host(host, port) => bind_host(host, *port).await?,
            ListenAddress::AllInterfaces(port) => bind_all_interfaces(*port).await?,
            #[cfg(unix)]
            ListenAddress::Unix(path) => vec![ListeningSocket::Unix(UnixSocket::bind(path).await?)],
            #[cfg(not(unix))]
            ListenAddress::Unix(_) => {
                let why = "Unix sockets are supported on Unix alone: use a TCP address";
                return Err(io::Error::new(ErrorKind::Unsupported, why));
            }
        };
        Ok(Self { sockets, next: 0 })
    }

    /// The bound addresses, IPv4 first.
    pub(super) fn addresses(&self) -> io::Result<Vec<ListenAddress>> {
        let address = |socket: &ListeningSocket| match socket {
            ListeningSocket::Tcp(listener) => Ok(ListenAddress::Ip(listener.local_addr()?)),
            #[cfg(unix)]
            ListeningSocket::Unix(socket) => Ok(ListenAddress::Unix(socket.path().to_owned())),
        };
        self.sockets.iter().map(address).collect()
    }

    /// Polls for a new connection.
    pub(super) fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let count = self.sockets.len();
        for offset in 0..count {
            let index = (self.next + offset) % count;
            let accepted = match &self.sockets[index] {
                ListeningSocket::Tcp(listener) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, _)| Stream::Tcp(stream)),
                #[cfg(unix)]
                ListeningSocket::Unix(socket) => socket.poll_accept(context).map_ok(Stream::Unix),
            };
            if accepted.is_ready() {
                // No socket can keep the others waiting.
                self.next = (index + 1) % count;
                return accepted;
            }
        }
        Poll::Pending
    }
}

async fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Listens on all IP addresses of a host name.
async fn bind_host(host: &str, port: u16) -> io::Result<Vec<ListeningSocket>> {
    let mut addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    addresses.sort();
    addresses.dedup();
    let mut attempt = 1;
    loop {
        match bind_each(&addresses).await {
            Err(error)
                if port == 0 && error.kind() == ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS =>
            {
                attempt += 1;
            }
            bound => return bound,
        }
    }
}

/// Listens on each of `addresses` that this machine has, with the port that the first one gets.
async fn bind_each(addresses: &[SocketAddr]) -> io::Result<Vec<ListeningSocket>> {
    let mut sockets = Vec::new();
    let mut chosen = None;
    let mut absent = None;
    for address in addresses {
        let port = chosen.unwrap_or(address.port());
        match bind_tcp(SocketAddr::new(address.ip(), port)).await {
            Ok(listener) => {
                chosen = Some(listener.local_addr()?.port());
                sockets.push(ListeningSocket::Tcp(listener));
            }
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => {
                let why = format!("{}: {error}", address.ip());
                return Err(io::Error::new(error.kind(), why));
            }
        }
    }
    match (sockets.is_empty(), absent) {
        (false, _) => Ok(sockets),
        (true, Some(error)) => Err(error),
        (true, None) => Err(io::Error::new(
            ErrorKind::NotFound,
            "the host has no address",
        )),
    }
}

/// Listens on all interfaces. One socket serves IPv4 and IPv6 where the system allows it.
async fn bind_all_interfaces(port: u16) -> io::Result<Vec<ListeningSocket>> {
    let v4 = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let v6 = match bind_tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)).await {
        Ok(listener) => listener,
        // The machine has no IPv6.
        Err(error) if is_absent(&error) => {
            return Ok(vec![ListeningSocket::Tcp(bind_tcp(v4(port)).await?)]);
        }
        Err(error) => return Err(error),
    };
    let port = v6.local_addr()?.port();
    let v6 = ListeningSocket::Tcp(v6);
    match bind_tcp(v4(port)).await {
        Ok(listener) => Ok(vec![ListeningSocket::Tcp(listener), v6]),
        // The IPv6 socket serves IPv4, too. If another process had this port on IPv4, the IPv6
        // socket could not have been bound.
        Err(error) if error.kind() == ErrorKind::AddrInUse || is_absent(&error) => Ok(vec![v6]),
        Err(error) => Err(error),
    }
}

/// Whether the error says that this machine does not have an address, or its family.
fn is_absent(error: &io::Error) -> bool {
    #[cfg(unix)]
    let no_family = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    #[cfg(not(unix))]
    let no_family = false;
    no_family || error.kind() == ErrorKind::AddrNotAvailable
}
