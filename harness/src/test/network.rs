//! A link between clients and a server, on loopback. Network faults can disturb the link.
//!
//! A [`Link`] is a TCP proxy. Clients connect to the link's address instead of the server's
//! address. All bytes pass the link unchanged until one of these faults is injected:
//! [`Latency`](crate::test::fault::Latency), [`Bandwidth`](crate::test::fault::Bandwidth),
//! [`Blackhole`](crate::test::fault::Blackhole),
//! [`ConnectionHang`](crate::test::fault::ConnectionHang),
//! [`ConnectionRefused`](crate::test::fault::ConnectionRefused),
//! [`ConnectionReset`](crate::test::fault::ConnectionReset),
//! [`ConnectionCut`](crate::test::fault::ConnectionCut),
//! [`Corruption`](crate::test::fault::Corruption),
//! [`HttpStatus`](crate::test::fault::HttpStatus),
//! [`HttpTruncatedBody`](crate::test::fault::HttpTruncatedBody),
//! [`HttpSlowHead`](crate::test::fault::HttpSlowHead). Several faults can be in effect at the same
//! time. The faults of new connections affect the whole link. All other faults affect one direction
//! or both directions.
//!
//! ```no_run
//! # use clarity_chaos::fault::{ConnectionCut, Latency};
//! # use clarity_chaos::network::Direction;
//! # use clarity_chaos::{Context, Result, chaos};
//! # use std::time::Duration;
//! # fn serve() -> Result<std::net::SocketAddr> { Ok(([127, 0, 0, 1], 80).into()) }
//! # fn ask(server: std::net::SocketAddr) -> Result {
//! #     std::net::TcpStream::connect(server)?;
//! #     Ok(())
//! # }
//! /// An answer that is cut off is not taken for a complete one.
//! #[chaos(non_destructive)]
//! fn half_an_answer(cx: Context) -> Result {
//!     let link = cx.link("server", serve()?)?;
//!     cx.inject(Latency::new(&link).with_delay(Duration::from_millis(20)))?.until_end();
//!     // The number of bytes before the cut is drawn from the seed.
//!     let cut = cx.inject(ConnectionCut::new(&link, Direction::ToClient))?;
//!     assert!(ask(link.addr()).is_err());
//!     cut.undo();
//!     ask(link.addr())
//! }
//! ```
//!
//! A link has its own threads. The delays of a link are in real time, even if the test's clock is
//! virtual. A paused clock advances without waiting for a link.

mod any_link;
mod chance;
mod chunk_queue;
mod condition;
mod datagram_queue;
mod direction;
mod disturbed;
mod dns_message;
mod http;
mod http_relay;
mod link_listener;
mod name_condition;
mod pacer;
mod pump;
mod relayed_bytes;
mod resolver;
mod slow_heads;
mod udp_link;

pub use any_link::AnyLink;
pub(crate) use chance::Chance;
pub use condition::ConnectionEnd;
pub(crate) use condition::{Condition, ConditionId};
pub use direction::Direction;
pub(crate) use disturbed::Disturbed;
pub(crate) use dns_message::normal as normal_name;
pub use http::HeadPiece;
pub(crate) use http::{HttpCondition, MessageChoice, Replacement};
pub use name_condition::DnsError;
pub(crate) use name_condition::NameCondition;
pub(crate) use resolver::NameServer;
pub use resolver::Resolver;
pub use udp_link::UdpLink;

use crate::test::missed_faults::MissedFaults;
use condition::Conditions;
use http_relay::HttpRelay;
use link_listener::LinkListener;
use pump::Connection;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The timeout for connecting to the server. The timeout is ample, because the server is on this
/// machine.
const CONNECTING: Duration = Duration::from_secs(10);

/// A link to a server. Dropping the link ends all connections through it.
#[must_use = "the link is gone when this is dropped"]
pub struct Link {
    proxy: Arc<Proxy>,
    accepting: Option<JoinHandle<()>>,
}

/// The state that the threads of a link share.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The link's name in plans and reports.
    name: String,
    /// The faults of the link that could not act.
    missed: MissedFaults,
    server: SocketAddr,
    listener: LinkListener,
    conditions: Conditions,
    connections: Mutex<Vec<Connection>>,
}

impl Link {
    /// Opens a link on a free port of loopback, to the first address of `server`. `name` is the
    /// link's name in plans and reports. The server need not listen yet.
    ///
    /// # Errors
    ///
    /// When `server` has no address. Also when no port is free, or no thread can be started.
    pub(crate) fn open(
        name: String,
        server: impl ToSocketAddrs,
        missed: MissedFaults,
    ) -> io::Result<Self> {
        let server = server.to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the server has no address")
        })?;
        let proxy = Arc::new(Proxy {
            name,
            missed,
            server,
            listener: LinkListener::bind()?,
            conditions: Conditions::default(),
            connections: Mutex::default(),
        });
        Ok(Self {
            accepting: Some(thread::Builder::new().name("link".to_owned()).spawn({
                let proxy = Arc::clone(&proxy);
                move || proxy.accept()
            })?),
            proxy,
        })
    }

    /// The link's name in plans and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.proxy.name
    }

    /// The link's address. Clients connect to it instead of the server's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.proxy.listener.addr()
    }

    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(&self.proxy)
    }
}

impl Proxy {
    fn accept(self: &Arc<Self>) {
        while let Some(client) = self.listener.accept() {
            // A failed connection does not affect the next connection.
            let connected = match self.conditions.resets() {
                true => Err(io::ErrorKind::ConnectionReset.into()),
                false => TcpStream::connect_timeout(&self.server, CONNECTING),
            };
            let opened =
                connected.and_then(|server| Connection::open(&client, &server, Arc::clone(self)));
            match opened {
                Ok(connection) => {
                    let mut connections = self.connections();
                    // A fault can be undone while the connection is not in the list yet.
                    connection.release(self);
                    connections.push(connection);
                }
                Err(_refused) => pump::reset(&client),
            }
            self.connections()
                .retain_mut(|connection| !connection.has_ended());
        }
    }

    /// Returns the relay of a new connection.
    fn messages(&self) -> HttpRelay {
        HttpRelay::new(self.name.clone(), self.missed.clone())
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disturbed for Proxy {
    fn put(&self, condition: Condition) -> io::Result<ConditionId> {
        let id = self.conditions.add(condition);
        let changed = self.listener.change(self.conditions.entrance());
        changed
            .map(|()| id)
            .inspect_err(|_| self.conditions.remove(id))
    }

    fn remove(&self, id: ConditionId) -> io::Result<()> {
        self.conditions.remove(id);
        for connection in &*self.connections() {
            connection.release(self);
        }
        self.listener.change(self.conditions.entrance())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.proxy.conditions.close();
        self.proxy.listener.shut_down();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for connection in self.proxy.connections().drain(..) {
            connection.end(&self.proxy);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name())
            .field("addr", &self.addr())
            .field("server", &self.proxy.server)
            .finish_non_exhaustive()
    }
}
