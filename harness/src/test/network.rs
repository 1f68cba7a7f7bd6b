//! A network that can be disturbed: a link between clients and a server, on loopback.
//!
//! A [`Link`] is a TCP proxy. Clients are given its address in the place of the server's, and everything passes through it unchanged, until a fault says
//! otherwise: [`Latency`](crate::test::fault::Latency), [`Bandwidth`](crate::test::fault::Bandwidth), [`Stall`](crate::test::fault::Stall),
//! [`Refusal`](crate::test::fault::Refusal), [`Severance`](crate::test::fault::Severance), [`Corruption`](crate::test::fault::Corruption). They can be in
//! effect together, each for one direction or both, and are undone like all others.
//!
//! ```no_run
//! # use clarity_chaos::fault::{Latency, Severance};
//! # use clarity_chaos::network::Direction;
//! # use clarity_chaos::{Context, Result, chaos};
//! # use std::time::Duration;
//! # fn serve() -> Result<std::net::SocketAddr> { Ok(([127, 0, 0, 1], 80).into()) }
//! # fn ask(server: std::net::SocketAddr) -> Result { std::net::TcpStream::connect(server)?; Ok(()) }
//! /// An answer that is cut off is not taken for a whole one.
//! #[chaos(non_destructive)]
//! fn half_an_answer(cx: Context) -> Result {
//!     let link = cx.link("server", serve()?)?;
//!     cx.inject(Latency::on(&link).of(Duration::from_millis(20)))?.until_end();
//!     let cut = cx.inject(Severance::of(&link, Direction::ToClient))?; // after how many bytes: drawn from the seed
//!     assert!(ask(link.addr()).is_err());
//!     cut.undo();
//!     ask(link.addr())
//! }
//! ```
//!
//! A link has threads of its own and delays by real time, whatever the test's clock: under virtual time that runs by itself it is a peer that the clock
//! does not wait for.

mod condition;
mod pump;

pub(crate) use condition::Condition;
pub use condition::{Direction, Ending};

use condition::Conditions;
use pump::Connection;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the server may take to accept a connection; it is on this machine.
const CONNECTING: Duration = Duration::from_secs(10);

/// A link to a server. All connections through it end when it is dropped.
#[must_use = "the link is gone when this is dropped"]
pub struct Link {
    name: String,
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What the threads of a link share.
#[derive(Debug)]
pub(crate) struct Shared {
    server: SocketAddr,
    pub(crate) conditions: Conditions,
    connections: Mutex<Vec<Connection>>,
}

impl Link {
    /// Opens a link to the first address of `server`, on a free port of loopback. `name` is what plans and reports call it.
    ///
    /// # Errors
    ///
    /// When the server's address is none, or there is no port or thread to be had. The server need not listen yet.
    pub(crate) fn open(name: String, server: impl ToSocketAddrs) -> io::Result<Self> {
        let server = server.to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the server has no address")
        })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared = Arc::new(Shared {
            server,
            conditions: Conditions::default(),
            connections: Mutex::default(),
        });
        Ok(Self {
            name,
            addr: listener.local_addr()?,
            accepting: Some(thread::Builder::new().name("link".to_owned()).spawn({
                let shared = Arc::clone(&shared);
                move || shared.accept(&listener)
            })?),
            shared,
        })
    }

    /// What plans and reports call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect to in the place of the server.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.conditions.is_closed() {
                return;
            }
            // Nothing that is wrong with one connection is the next one's affair.
            let Ok(client) = client else { continue };
            let connected = match self.conditions.refuses() {
                true => Err(io::ErrorKind::ConnectionRefused.into()),
                false => TcpStream::connect_timeout(&self.server, CONNECTING),
            };
            let opened =
                connected.and_then(|server| Connection::open(&client, &server, Arc::clone(self)));
            match opened {
                Ok(connection) => self.connections().push(connection),
                Err(_refused) => pump::reset(&client),
            }
            self.connections()
                .retain_mut(|connection| !connection.has_ended());
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.conditions.close();
        // Wakes who waits for a connection.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for connection in self.shared.connections().drain(..) {
            connection.end();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("addr", &self.addr)
            .field("server", &self.shared.server)
            .finish_non_exhaustive()
    }
}
