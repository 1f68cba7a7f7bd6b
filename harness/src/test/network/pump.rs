//! A connection through a link. Each direction has one thread that receives bytes, and one thread
//! that sends the bytes when they are due.

use super::Proxy;
use super::chunk_queue::{Chunk, ChunkQueue};
use super::condition::{ConnectionEnd, Delivery};
use super::direction::Direction;
use super::http_relay::HttpRelay;
use super::pacer::Pacer;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The largest number of bytes in a chunk.
const CHUNK: usize = 64 << 10;

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
    messages: Arc<Mutex<HttpRelay>>,
    /// The bytes on their way to the client.
    to_client: Arc<ChunkQueue>,
    threads: Vec<JoinHandle<()>>,
}

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
            messages: Arc::new(Mutex::new(proxy.messages())),
            to_client: Arc::default(),
            threads: Vec::new(),
        };
        let started = [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .try_for_each(|direction| connection.start(direction, &proxy));
        match started {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.end(&proxy);
                Err(error)
            }
        }
    }

    fn start(&mut self, direction: Direction, proxy: &Arc<Proxy>) -> io::Result<()> {
        let queue = match direction {
            Direction::ToClient => Arc::clone(&self.to_client),
            Direction::ToServer | Direction::Both => Arc::default(),
        };
        let spawn = |work: fn(&Ends, Direction, &Proxy, &ChunkQueue, &Mutex<HttpRelay>)| {
            let (ends, queue) = (Arc::clone(&self.ends), Arc::clone(&queue));
            let (proxy, messages) = (Arc::clone(proxy), Arc::clone(&self.messages));
            let thread = thread::Builder::new().name("link".to_owned());
            thread.spawn(move || work(&ends, direction, &proxy, &queue, &messages))
        };
        let receiving = spawn(receive)?;
        self.threads.push(receiving);
        let sending = spawn(send)?;
        self.threads.push(sending);
        Ok(())
    }

    /// Delivers the bytes that are held for faults that are no longer in effect.
    pub(super) fn release(&self, proxy: &Proxy) {
        let mut messages = lock(&self.messages);
        if let Some(released) = messages.release(&proxy.conditions) {
            self.to_client.append(released.into_chunks());
        }
    }

    /// Whether the connection has ended in both directions.
    pub(super) fn has_ended(&mut self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Closes the connection now, and waits for its threads.
    pub(super) fn end(self, proxy: &Proxy) {
        self.ends.close(proxy);
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

    fn close(&self, proxy: &Proxy) {
        self.is_over.store(true, Ordering::Relaxed);
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
        proxy.conditions.wake();
    }

    fn reset(&self, proxy: &Proxy) {
        self.is_over.store(true, Ordering::Relaxed);
        for end in [&self.client, &self.server] {
            reset(end);
        }
        proxy.conditions.wake();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

fn lock(messages: &Mutex<HttpRelay>) -> MutexGuard<'_, HttpRelay> {
    messages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives chunks until the connection ends. Passes each chunk to the sending thread.
fn receive(
    ends: &Ends,
    direction: Direction,
    proxy: &Proxy,
    queue: &ChunkQueue,
    messages: &Mutex<HttpRelay>,
) {
    let (mut from, _) = ends.of(direction);
    let mut buffer = vec![0; CHUNK];
    loop {
        // At the end of the stream, `count` is 0. The end is delayed like all other chunks.
        let count = match from.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                // A reset by one side is passed on to the other side.
                if !ends.is_over() {
                    ends.reset(proxy);
                }
                queue.close();
                return;
            }
        };
        let arrival = proxy.conditions.arrive(direction);
        if !queue.wait_for_room() {
            return;
        }
        // The lock is held until the bytes are in the queue: released bytes keep their order.
        let mut messages = lock(messages);
        let relayed = messages.relay(direction, &proxy.conditions, arrival, &buffer[..count]);
        queue.append(relayed.into_chunks());
        if count == 0 || messages.has_closed() {
            return;
        }
    }
}

/// Sends the chunks until the connection ends. The receiving thread then ends, too.
fn send(
    ends: &Ends,
    direction: Direction,
    proxy: &Proxy,
    queue: &ChunkQueue,
    _messages: &Mutex<HttpRelay>,
) {
    send_due(ends, direction, proxy, queue);
    queue.close();
}

/// Sends each chunk when it is due, unless a fault cuts the connection first.
fn send_due(ends: &Ends, direction: Direction, proxy: &Proxy, queue: &ChunkQueue) {
    let (_, mut to) = ends.of(direction);
    let mut pacer = Pacer::default();
    while let Some(chunk) = queue.pop() {
        let Chunk {
            arrival,
            mut bytes,
            closes,
        } = chunk;
        let mut sent = 0;
        loop {
            let left = &mut bytes[sent..];
            let is_over = || ends.is_over();
            let conditions = &proxy.conditions;
            match conditions.deliver(direction, &arrival, &mut pacer, left, is_over) {
                Delivery::Lost => return,
                Delivery::Piece(0) if closes => {
                    ends.close(proxy);
                    return;
                }
                Delivery::Piece(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Delivery::Piece(length) => {
                    let began = Instant::now();
                    if to.write_all(&left[..length]).is_err() {
                        ends.reset(proxy);
                        return;
                    }
                    pacer.pass(length, began, Instant::now());
                    sent += length;
                }
                Delivery::Cut(length, end) => {
                    let _ = to.write_all(&left[..length]);
                    cut(ends, to, end, proxy, queue);
                    return;
                }
            }
            if sent == bytes.len() {
                break;
            }
        }
    }
}

/// Ends the connection, of which `to` is the destination of the cut direction.
fn cut(ends: &Ends, to: &TcpStream, end: ConnectionEnd, proxy: &Proxy, queue: &ChunkQueue) {
    match end {
        ConnectionEnd::Reset => ends.reset(proxy),
        ConnectionEnd::Close => ends.close(proxy),
        ConnectionEnd::HalfClose => {
            let _ = to.shutdown(Shutdown::Write);
            // Further chunks are received and discarded. Otherwise nothing would read from the
            // source, and the source's writes would block.
            while queue.pop().is_some_and(|chunk| !chunk.bytes.is_empty()) {}
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
