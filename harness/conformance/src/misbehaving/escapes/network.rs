//! Attempts to connect to processes outside the sandbox. Environment variables hold the addresses.

use super::{only_inside, refused, victim};
use clarity_chaos::{Context, Result, chaos};
use std::env;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;

/// Tries to connect to a listener on the host's loopback interface.
#[chaos(non_destructive)]
fn loopback(cx: Context) -> Result {
    let address: SocketAddr = env::var("MISBEHAVING_TCP")?.parse()?;
    refused(&cx, "tcp on loopback", TcpStream::connect(address))
}

/// Tries to reach 192.0.2.1, an address reserved for documentation (RFC 5737).
#[chaos(non_destructive, harmful)]
fn outside(cx: Context) -> Result {
    only_inside(&cx)?;
    let address = SocketAddr::from(([192, 0, 2, 1], 9));
    let limit = Duration::from_secs(2);
    refused(
        &cx,
        "tcp outside",
        TcpStream::connect_timeout(&address, limit),
    )?;
    let sent = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| socket.send_to(b"harm", address));
    refused(&cx, "udp outside", sent)
}

/// Tries to connect to a Unix socket by path.
#[chaos(non_destructive)]
fn unix_path(cx: Context) -> Result {
    refused(
        &cx,
        "unix by path",
        UnixStream::connect(victim()?.join("socket")),
    )
}

/// Tries to connect to a Unix socket by abstract name.
#[chaos(non_destructive)]
fn unix_abstract(cx: Context) -> Result {
    let name = env::var("MISBEHAVING_ABSTRACT")?;
    let connected: io::Result<UnixStream> =
        UnixAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address));
    refused(&cx, "unix abstract", connected)
}
