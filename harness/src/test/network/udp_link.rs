//! A link between clients and a server that exchange datagrams.

use super::condition::{Condition, ConditionId};
use super::datagram_queue::{DatagramQueue, Destination};
use super::direction::Direction;
use super::disturbed::Disturbed;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest datagram.
const LONGEST: usize = 1 << 16;

/// The largest number of clients. Datagrams of further clients are lost.
const CLIENTS: usize = 1024;

/// The interval at which the receiving threads are asked to end, until they end.
const WAKING: Duration = Duration::from_millis(1);

/// The interval at which the thread of a client checks whether the link is closed, on systems on
/// which nothing ends its wait.
const CHECKING: Duration = Duration::from_millis(200);

/// A link to a server, for datagrams of UDP. Dropping the link ends it.
///
/// The server sees another address for each client of the link. A datagram that the link cannot
/// deliver is lost, as are datagrams of more than 1024 clients, or beyond 16 MiB that wait. The
/// faults [`PacketLoss`](crate::test::fault::PacketLoss),
/// [`PacketDuplication`](crate::test::fault::PacketDuplication),
/// [`PacketReordering`](crate::test::fault::PacketReordering),
/// [`Latency`](crate::test::fault::Latency), [`Blackhole`](crate::test::fault::Blackhole) and
/// [`Partition`](crate::test::fault::Partition) disturb it.
///
/// ```no_run
/// # use clarity_chaos::fault::PacketLoss;
/// # use clarity_chaos::{Context, Result, chaos};
/// # fn ask(_server: std::net::SocketAddr) -> Result { Ok(()) }
/// /// A client asks again when a datagram is lost.
/// #[chaos(non_destructive)]
/// fn lossy_network(cx: Context) -> Result {
///     let server = std::net::UdpSocket::bind("127.0.0.1:0")?;
///     let link = cx.udp_link("server", server.local_addr()?)?;
///     cx.inject(PacketLoss::new(&link).with_percent(20))?.until_end();
///     ask(link.addr())
/// }
/// ```
#[must_use = "the link is gone when this is dropped"]
pub struct UdpLink {
    name: String,
    addr: SocketAddr,
    proxy: Arc<UdpProxy>,
    threads: Vec<JoinHandle<()>>,
    /// Ends the wait of the thread that receives from clients.
    waker: UdpSocket,
}

/// The state that the threads of a link share.
#[derive(Debug)]
pub(crate) struct UdpProxy {
    server: SocketAddr,
    /// The socket to which clients send.
    front: UdpSocket,
    waker: SocketAddr,
    state: Mutex<UdpState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct UdpState {
    queue: DatagramQueue,
    clients: HashMap<SocketAddr, Client>,
    is_closed: bool,
}

/// A client of the link: the socket whose address the server sees, and the thread that receives
/// from the server.
#[derive(Debug)]
struct Client {
    back: Arc<UdpSocket>,
    thread: JoinHandle<()>,
}

impl UdpLink {
    /// Opens a link on a free port of loopback, to the first address of `server`.
    ///
    /// # Errors
    ///
    /// When `server` has no address. Also when no port is free, or no thread can be started.
    pub(crate) fn open(name: String, server: impl ToSocketAddrs) -> io::Result<Self> {
        let server = server.to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the server has no address")
        })?;
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = front.local_addr()?;
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        waker.connect(addr)?;
        let mut link = Self {
            name,
            addr,
            proxy: Arc::new(UdpProxy {
                server,
                front,
                waker: waker.local_addr()?,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            threads: Vec::new(),
            waker,
        };
        for work in [UdpProxy::receive, UdpProxy::send] {
            let proxy = Arc::clone(&link.proxy);
            link.threads.push(spawn(move || work(&proxy))?);
        }
        Ok(link)
    }

    /// The link's name in plans and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link's address. Clients send to it instead of the server's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn proxy(&self) -> Arc<UdpProxy> {
        Arc::clone(&self.proxy)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("link".to_owned()).spawn(work)
}

impl UdpProxy {
    /// Receives from clients.
    fn receive(self: &Arc<Self>) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let received = self.front.recv_from(&mut buffer);
            let mut state = self.state();
            if state.is_closed {
                return;
            }
            // An error belongs to an earlier datagram, whose receiver is gone.
            let Ok((length, from)) = received else {
                continue;
            };
            if from == self.waker {
                continue;
            }
            // Without a socket for a new client, its datagram is lost.
            if let Ok(back) = self.back(&mut state, from) {
                let destination = Destination::Server(back);
                state
                    .queue
                    .push(Direction::ToServer, destination, &buffer[..length]);
                self.changed.notify_all();
            }
        }
    }

    /// Returns the socket of a client, whose address the server sees.
    fn back(
        self: &Arc<Self>,
        state: &mut UdpState,
        client: SocketAddr,
    ) -> io::Result<Arc<UdpSocket>> {
        if let Some(client) = state.clients.get(&client) {
            return Ok(Arc::clone(&client.back));
        }
        if state.clients.len() >= CLIENTS {
            return Err(io::Error::other("the link has too many clients"));
        }
        let back = Arc::new(match self.server {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
        });
        back.connect(self.server)?;
        back.set_read_timeout(Some(CHECKING))?;
        let thread = spawn({
            let (proxy, back) = (Arc::clone(self), Arc::clone(&back));
            move || proxy.receive_answers(&back, client)
        })?;
        let back_of_client = Arc::clone(&back);
        state.clients.insert(client, Client { back, thread });
        Ok(back_of_client)
    }

    /// Receives from the server what is for one client.
    fn receive_answers(&self, back: &UdpSocket, client: SocketAddr) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let received = back.recv(&mut buffer);
            let mut state = self.state();
            if state.is_closed {
                return;
            }
            // An error is a timeout, or belongs to an earlier datagram.
            if let Ok(length) = received {
                let destination = Destination::Client(client);
                state
                    .queue
                    .push(Direction::ToClient, destination, &buffer[..length]);
                self.changed.notify_all();
            }
        }
    }

    /// Sends each datagram when it is due.
    fn send(self: &Arc<Self>) {
        let mut state = self.state();
        while !state.is_closed {
            if let Some((destination, bytes)) = state.queue.take_due(Instant::now()) {
                drop(state);
                // A failed datagram is lost, as on every network.
                let _ = match destination {
                    Destination::Server(back) => back.send(&bytes),
                    Destination::Client(client) => self.front.send_to(&bytes, client),
                };
                state = self.state();
                continue;
            }
            state = match state.queue.next_due() {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, UdpState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disturbed for UdpProxy {
    fn put(&self, condition: Condition) -> io::Result<ConditionId> {
        let id = self.state().queue.put(condition);
        self.changed.notify_all();
        Ok(id)
    }

    fn remove(&self, id: ConditionId) -> io::Result<()> {
        self.state().queue.remove(id);
        self.changed.notify_all();
        Ok(())
    }
}

impl Drop for UdpLink {
    fn drop(&mut self) {
        let mut state = self.proxy.state();
        state.is_closed = true;
        let clients: Vec<Client> = state.clients.drain().map(|(_, client)| client).collect();
        drop(state);
        self.proxy.changed.notify_all();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // The datagram can be lost, if many datagrams wait.
            let _ = self.waker.send(&[]);
            thread::sleep(WAKING);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for client in clients {
            // Ends the wait of the thread.
            #[cfg(unix)]
            let _ = rustix::net::shutdown(&client.back, rustix::net::Shutdown::Both);
            let _ = client.thread.join();
        }
    }
}

impl fmt::Debug for UdpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpLink")
            .field("name", &self.name)
            .field("addr", &self.addr)
            .field("server", &self.proxy.server)
            .finish_non_exhaustive()
    }
}
