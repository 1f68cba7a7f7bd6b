//! A connection through a link. Each direction has one thread that receives bytes, and one thread
//! that sends the bytes when they are due.

use super::Proxy;
use super::condition::{ConnectionEnd, Delivery, Direction};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The largest number of bytes in a chunk.
const CHUNK: usize = 16 << 10;

/// The largest number of chunks in flight in each direction. At this number, the receiving thread
/// waits.
const IN_FLIGHT: usize = 64;

/// The two sockets of a connection: to the client, and to the server.
#[derive(Debug)]
struct Ends {
    client: TcpStream,
    server: TcpStream,
    is_over: AtomicBool,
}

/// A connection through a link.
#[derive(Debug)]
pub(super) struct Connection {
    ends: Arc<Ends>,
    threads: Vec<JoinHandle<()>>,
}

/// A chunk: the time at which its bytes are due, and its bytes.
type Chunk = (Instant, Vec<u8>);

impl Connection {
    pub(super) fn open(
        client: &TcpStream,
        server: &TcpStream,
        proxy: Arc<Proxy>,
    ) -> io::Result<Self> {
        // Without this option, the system could delay a sent chunk, or merge it with the next
        // chunk.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = Arc::new(Ends {
            client: client.try_clone()?,
            server: server.try_clone()?,
            is_over: AtomicBool::new(false),
        });
        let mut connection = Self {
            ends,
            threads: Vec::new(),
        };
        let started = [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .try_for_each(|direction| connection.start(direction, &proxy));
        match started {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.end();
                Err(error)
            }
        }
    }

    fn start(&mut self, direction: Direction, proxy: &Arc<Proxy>) -> io::Result<()> {
        let (sender, receiver) = sync_channel(IN_FLIGHT);
        let thread = || thread::Builder::new().name("link".to_owned());
        let (ends, link) = (Arc::clone(&self.ends), Arc::clone(proxy));
        let receiving = move || receive(&ends, direction, &link, &sender);
        self.threads.push(thread().spawn(receiving)?);
        let (ends, link) = (Arc::clone(&self.ends), Arc::clone(proxy));
        let sending = move || send(&ends, direction, &link, &receiver);
        self.threads.push(thread().spawn(sending)?);
        Ok(())
    }

    /// Whether the connection has ended in both directions.
    pub(super) fn has_ended(&mut self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Closes the connection now, and waits for its threads.
    pub(super) fn end(self) {
        self.ends.close();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

impl Ends {
    /// The source and the destination of bytes in this direction.
    fn of(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::ToClient => (&self.server, &self.client),
            Direction::ToServer | Direction::Both => (&self.client, &self.server),
        }
    }

    fn close(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn reset(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        for end in [&self.client, &self.server] {
            reset(end);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Receives chunks until the connection ends. Passes each chunk to the sending thread, with the
/// time at which the chunk is due.
fn receive(ends: &Ends, direction: Direction, proxy: &Proxy, sender: &SyncSender<Chunk>) {
    let (mut from, _) = ends.of(direction);
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => {
                let due = proxy.conditions.due(direction);
                if sender.send((due, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // An empty chunk means the end of the stream. It is delayed like all other chunks.
            Ok(_end) => {
                let _ = sender.send((proxy.conditions.due(direction), Vec::new()));
                return;
            }
            Err(_) => {
                // A reset by one side is passed on to the other side.
                if !ends.is_over() {
                    ends.reset();
                }
                return;
            }
        }
    }
}

/// Sends each chunk when it is due, unless a fault cuts the connection first.
fn send(ends: &Ends, direction: Direction, proxy: &Proxy, receiver: &Receiver<Chunk>) {
    let (_, mut to) = ends.of(direction);
    while let Ok((due, mut bytes)) = receiver.recv() {
        let delivery = proxy
            .conditions
            .deliver(direction, due, &mut bytes, || ends.is_over());
        match delivery {
            Delivery::Lost => return,
            Delivery::Whole(_) if bytes.is_empty() => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Delivery::Whole(time) => {
                if to.write_all(&bytes).is_err() {
                    ends.reset();
                    return;
                }
                proxy.conditions.pass(time);
            }
            Delivery::Cut(length, end) => {
                let _ = to.write_all(&bytes[..length]);
                match end {
                    ConnectionEnd::Reset => ends.reset(),
                    ConnectionEnd::Close => ends.close(),
                    ConnectionEnd::HalfClose => {
                        let _ = to.shutdown(Shutdown::Write);
                        // Further chunks are received and discarded. Otherwise nothing would read
                        // from the source, and the source's writes would block.
                        while receiver.recv().is_ok() {}
                    }
                }
                return;
            }
        }
    }
}

/// Ends a connection with a reset instead of a close: a reader on the other side gets an error.
pub(super) fn reset(end: &TcpStream) {
    #[cfg(unix)]
    let _ = rustix::net::sockopt::set_socket_linger(end, Some(std::time::Duration::ZERO));
    // With a linger time of zero, a close would reset the connection. But several threads share the
    // descriptor, so this function cannot close the descriptor. A connect to an unspecified address
    // also resets the connection.
    #[cfg(unix)]
    let _ = rustix::net::connect_unspec(end);
    let _ = end.shutdown(Shutdown::Both);
}
