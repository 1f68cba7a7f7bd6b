//! The listening socket of a link. Faults close the socket, or fill its backlog.

use crate::os::resource_limit::with_limits_lifted;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limit of a change of the entrance. The change needs no other program, so the limit is ample.
const CHANGING: Duration = Duration::from_secs(20);

/// The timeout of a connection that the link makes to itself. If the backlog is full, the kernel
/// does not answer.
const CONNECTING: Duration = Duration::from_millis(100);

/// The pause after an error of `accept`, for example when descriptors have run out.
const RETRY: Duration = Duration::from_millis(10);

/// The backlog of an open entrance. The kernel can use a smaller one.
#[cfg(target_os = "linux")]
const BACKLOG: i32 = 4096;

/// The state in which new connections find a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Entrance {
    /// The link accepts connections.
    #[default]
    Open,
    /// The backlog is full: the kernel drops the first packet of each connection.
    Full,
    /// No socket listens: the kernel refuses connections.
    Closed,
}

/// The listening socket of a link. One thread accepts connections from it.
#[derive(Debug)]
pub(super) struct LinkListener {
    addr: SocketAddr,
    state: Mutex<ListenerState>,
    changed: Condvar,
    /// Allows one change at a time.
    change: Mutex<()>,
    /// A bound socket that never listens. While the listening socket is closed, no other socket can
    /// get the port.
    #[cfg(target_os = "linux")]
    _port: rustix::fd::OwnedFd,
}

#[derive(Debug, Default)]
struct ListenerState {
    entrance: Entrance,
    socket: Option<Arc<TcpListener>>,
    /// The link's connections to itself: they end a wait for connections, or fill the backlog.
    own: Vec<TcpStream>,
    is_accepting: bool,
    is_shut_down: bool,
}

impl LinkListener {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub(super) fn bind() -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        #[cfg(target_os = "linux")]
        let (port, any) = reserve(any)?;
        let socket = TcpListener::bind(any)?;
        #[cfg(target_os = "linux")]
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = Self {
            addr: socket.local_addr()?,
            state: Mutex::default(),
            changed: Condvar::new(),
            change: Mutex::default(),
            #[cfg(target_os = "linux")]
            _port: port,
        };
        listener.state().socket = Some(Arc::new(socket));
        Ok(listener)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for the next connection. Returns `None` after [`shut_down`](Self::shut_down). Only one
    /// thread may call this method.
    pub(super) fn accept(&self) -> Option<TcpStream> {
        loop {
            let mut state = self.state();
            let socket = loop {
                if state.is_shut_down {
                    return None;
                }
                match &state.socket {
                    Some(socket) if state.entrance == Entrance::Open => break Arc::clone(socket),
                    _ => state = self.wait(state),
                }
            };
            state.is_accepting = true;
            drop(state);
            let accepted = socket.accept();
            drop(socket);
            let mut state = self.state();
            state.is_accepting = false;
            self.changed.notify_all();
            if state.is_shut_down {
                return None;
            }
            match accepted {
                Ok((client, peer)) => {
                    let is_own = |own: &TcpStream| own.local_addr().is_ok_and(|own| own == peer);
                    match state.own.iter().position(is_own) {
                        Some(place) => drop(state.own.swap_remove(place)),
                        None => return Some(client),
                    }
                }
                Err(_) => drop(self.changed.wait_timeout(state, RETRY)),
            }
        }
    }

    /// Changes the entrance. When this method returns, new connections find the new entrance.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened. Also when this system cannot fill a backlog
    /// ([`Unsupported`](io::ErrorKind::Unsupported)). The entrance is then open, if possible.
    pub(super) fn change(&self, entrance: Entrance) -> io::Result<()> {
        let _one_at_a_time = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.try_change(entrance);
        if changed.is_err() {
            let _ = self.try_change(Entrance::Open);
        }
        changed
    }

    fn try_change(&self, entrance: Entrance) -> io::Result<()> {
        let mut state = self.state();
        if state.is_shut_down {
            return Ok(());
        }
        if state.entrance == entrance && state.socket.is_some() == (entrance != Entrance::Closed) {
            return Ok(());
        }
        state.entrance = entrance;
        if entrance != Entrance::Open {
            state = self.stop_accepting(state)?;
        }
        if entrance == Entrance::Closed {
            state.socket = None;
            state.own.clear();
            return Ok(());
        }
        let socket = match &state.socket {
            Some(socket) => Arc::clone(socket),
            None => Arc::new(with_limits_lifted(|| TcpListener::bind(self.addr))?),
        };
        state.socket = Some(Arc::clone(&socket));
        match entrance {
            Entrance::Full => fill(&socket, self.addr, &mut state.own),
            Entrance::Open | Entrance::Closed => {
                #[cfg(target_os = "linux")]
                rustix::net::listen(&socket, BACKLOG)?;
                self.changed.notify_all();
                Ok(())
            }
        }
    }

    /// Ends the wait of the accepting thread.
    fn stop_accepting<'a>(
        &self,
        mut state: MutexGuard<'a, ListenerState>,
    ) -> io::Result<MutexGuard<'a, ListenerState>> {
        let deadline = Instant::now() + CHANGING;
        while state.is_accepting {
            if Instant::now() >= deadline {
                return Err(io::Error::other("the link's thread did not stop accepting"));
            }
            // The accepting thread checks the connection only after this method has unlocked the
            // state. It then finds the connection in `own`.
            let woken = with_limits_lifted(|| TcpStream::connect_timeout(&self.addr, CONNECTING));
            state.own.extend(woken.ok());
            let waited = self.changed.wait_timeout(state, CONNECTING);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }

    /// Ends [`accept`](Self::accept).
    pub(super) fn shut_down(&self) {
        let mut state = self.state();
        state.is_shut_down = true;
        self.changed.notify_all();
        #[cfg(target_os = "linux")]
        if let Some(socket) = &state.socket {
            // Ends the wait of the accepting thread. Unlike a connection, this needs no descriptor.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
        #[cfg(not(target_os = "linux"))]
        let Ok(mut state) = self.stop_accepting(state) else {
            return;
        };
        state.socket = None;
        state.own.clear();
    }

    fn state(&self) -> MutexGuard<'_, ListenerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, ListenerState>) -> MutexGuard<'a, ListenerState> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserves a port: binds a socket that never listens. Returns the socket and its address.
// The listening socket can have the same address, since both sockets have this option.
#[cfg(target_os = "linux")]
fn reserve(any: SocketAddr) -> io::Result<(rustix::fd::OwnedFd, SocketAddr)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &any)?;
    let addr = getsockname(&socket)?.try_into()?;
    Ok((socket, addr))
}

/// Fills the backlog of the socket with connections. `own` gets these connections.
#[cfg(target_os = "linux")]
fn fill(socket: &TcpListener, addr: SocketAddr, own: &mut Vec<TcpStream>) -> io::Result<()> {
    use crate::os::accept_queue;
    rustix::net::listen(socket, 0)?;
    let deadline = Instant::now() + CHANGING;
    while !accept_queue::is_full(socket)? {
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel does not fill a backlog",
            ));
        }
        // A client can take the last place first. Then this connection times out.
        let filler = with_limits_lifted(|| TcpStream::connect_timeout(&addr, CONNECTING));
        own.extend(filler.ok());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn fill(_socket: &TcpListener, _addr: SocketAddr, _own: &mut Vec<TcpStream>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Linux drops the connections to a full backlog, and says when it is full",
    ))
}
