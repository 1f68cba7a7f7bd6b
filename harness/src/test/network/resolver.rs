//! A name server on the test's own loopback.

use super::dns_message::{Query, normal};
use super::name_condition::{NameCondition, Zone};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The largest number of queries that wait for their answers. Further queries are lost, as they are
/// at a name server with too much to do.
const WAITING: usize = 4096;

/// The largest number of addresses of a name. So each answer fits in one message.
const ADDRESSES: usize = 16;

/// The interval at which the receiving thread is asked to end, until it ends.
const WAKING: Duration = Duration::from_millis(1);

/// A name server on the test's own loopback. In the sandbox, all lookups of a test's process and of
/// the programs that it starts come here. Dropping the resolver ends it: lookups then fail at once.
///
/// The resolver knows the names that the test [adds](Self::add). All other names do not exist. The
/// faults [`DnsFailure`](crate::test::fault::DnsFailure),
/// [`DnsLatency`](crate::test::fault::DnsLatency) and [`DnsSpoof`](crate::test::fault::DnsSpoof)
/// disturb it.
///
/// ```no_run
/// # use clarity_chaos::fault::DnsSpoof;
/// # use clarity_chaos::{Context, Result, chaos};
/// # use std::net::Ipv4Addr;
/// # fn ask(_server: (&str, u16)) -> Result { Ok(()) }
/// /// A stale entry leads to another server. The client must not trust it.
/// #[chaos(non_destructive)]
/// fn wrong_address(cx: Context) -> Result {
///     let resolver = cx.resolver()?;
///     resolver.add("db.example", Ipv4Addr::LOCALHOST);
///     ask(("db.example", 5432))?;
///     let spoof = DnsSpoof::new(&resolver, "db.example", Ipv4Addr::new(127, 0, 0, 66));
///     let spoof = cx.inject(spoof)?;
///     assert!(ask(("db.example", 5432)).is_err());
///     spoof.undo();
///     ask(("db.example", 5432))
/// }
/// ```
#[must_use = "the resolver is gone when this is dropped"]
pub struct Resolver {
    server: Arc<NameServer>,
    threads: Vec<JoinHandle<()>>,
    /// Ends the wait of the receiving thread.
    waker: UdpSocket,
}

/// The state that the threads of a name server share.
#[derive(Debug)]
pub(crate) struct NameServer {
    socket: UdpSocket,
    waker: SocketAddr,
    state: Mutex<NameServerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct NameServerState {
    zone: Zone,
    /// The number of conditions so far.
    count: u64,
    waiting: Vec<WaitingQuery>,
    is_closed: bool,
}

#[derive(Debug)]
struct WaitingQuery {
    query: Query,
    from: SocketAddr,
    arrived: Instant,
    /// The number of conditions at the arrival.
    count: u64,
}

impl Resolver {
    /// Starts a name server on this socket.
    ///
    /// # Errors
    ///
    /// When there is no free port for a second socket, or no thread can be started.
    pub(crate) fn open(socket: UdpSocket) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let waker = UdpSocket::bind((addr.ip(), 0))?;
        waker.connect(addr)?;
        let server = Arc::new(NameServer {
            socket,
            waker: waker.local_addr()?,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut resolver = Self {
            server,
            threads: Vec::new(),
            waker,
        };
        for work in [NameServer::receive, NameServer::answer] {
            let server = Arc::clone(&resolver.server);
            let thread = thread::Builder::new().name("resolver".to_owned());
            let thread = thread.spawn(move || work(&server))?;
            resolver.threads.push(thread);
        }
        Ok(resolver)
    }

    /// Adds an address to a name. The case of letters does not matter.
    ///
    /// # Panics
    ///
    /// When the name already has 16 addresses.
    pub fn add(&self, name: &str, address: impl Into<IpAddr>) {
        let mut state = self.server.state();
        let addresses = state.zone.addresses.entry(normal(name)).or_default();
        assert!(
            addresses.len() < ADDRESSES,
            "`{name}` has {ADDRESSES} addresses already: more do not fit in an answer"
        );
        addresses.push(address.into());
    }

    pub(crate) fn server(&self) -> Arc<NameServer> {
        Arc::clone(&self.server)
    }
}

impl NameServer {
    /// Puts a condition on the server, and returns its number.
    pub(crate) fn put(&self, condition: NameCondition) -> u64 {
        let mut state = self.state();
        state.count += 1;
        let id = state.count;
        state.zone.conditions.push((id, condition));
        self.changed.notify_all();
        id
    }

    /// Removes the condition with this number. Delayed answers are then due at once.
    pub(crate) fn remove(&self, id: u64) {
        let mut state = self.state();
        state.zone.conditions.retain(|(other, _)| *other != id);
        self.changed.notify_all();
    }

    fn receive(&self) {
        let mut buffer = [0; 4096];
        loop {
            let received = self.socket.recv_from(&mut buffer);
            let mut state = self.state();
            if state.is_closed {
                return;
            }
            // An error belongs to an earlier answer, whose client is gone.
            let Ok((length, from)) = received else {
                continue;
            };
            let query = Query::parse(&buffer[..length]).filter(|_| from != self.waker);
            if let Some(query) = query
                && state.waiting.len() < WAITING
            {
                let count = state.count;
                state.waiting.push(WaitingQuery {
                    query,
                    from,
                    arrived: Instant::now(),
                    count,
                });
                self.changed.notify_all();
            }
        }
    }

    /// Answers each query when its answer is due.
    fn answer(&self) {
        let mut state = self.state();
        while !state.is_closed {
            let now = Instant::now();
            let NameServerState { zone, waiting, .. } = &mut *state;
            let due_of =
                |waiting: &WaitingQuery| zone.due(&waiting.query, waiting.arrived, waiting.count);
            let due: Vec<WaitingQuery> = waiting
                .extract_if(.., |waiting| due_of(waiting) <= now)
                .collect();
            for WaitingQuery { query, from, .. } in due {
                if let Some(answer) = zone.answer(&query) {
                    // The client can be gone.
                    let _ = self.socket.send_to(&answer, from);
                }
            }
            let next = waiting.iter().map(due_of).min();
            state = match next {
                None => self.changed.wait(state),
                Some(next) => {
                    let left = next.saturating_duration_since(Instant::now());
                    let waited = self.changed.wait_timeout(state, left);
                    waited
                        .map(|(state, _)| state)
                        .map_err(|error| PoisonError::new(error.into_inner().0))
                }
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, NameServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.server.state().is_closed = true;
        self.server.changed.notify_all();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // The datagram can be lost, if many queries wait.
            let _ = self.waker.send(&[]);
            thread::sleep(WAKING);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        #[cfg(target_os = "linux")]
        let _ = crate::sandbox::name_socket::close();
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
