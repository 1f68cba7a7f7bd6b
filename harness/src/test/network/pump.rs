//! A connection through a link: for each direction a thread that takes bytes, and one that gives them when they are due.

use super::Shared;
use super::condition::{Direction, Ending, Fate};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Bytes taken at a time.
const CHUNK: usize = 16 << 10;

/// How many such may be on their way in each direction: what a sender can send before it must wait.
const ON_THEIR_WAY: usize = 64;

/// Both ends of a connection.
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

/// Bytes, and when they are due.
type Chunk = (Instant, Vec<u8>);

impl Connection {
    pub(super) fn open(
        client: &TcpStream,
        server: &TcpStream,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        // What comes in one piece goes on in one piece, and at once.
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
            .try_for_each(|direction| connection.start(direction, &shared));
        match started {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.end();
                Err(error)
            }
        }
    }

    fn start(&mut self, direction: Direction, shared: &Arc<Shared>) -> io::Result<()> {
        let (sender, receiver) = sync_channel(ON_THEIR_WAY);
        let (ends, link) = (Arc::clone(&self.ends), Arc::clone(shared));
        self.threads.push(
            thread::Builder::new()
                .name("link".to_owned())
                .spawn(move || {
                    take(&ends, direction, &link, &sender);
                })?,
        );
        let (ends, link) = (Arc::clone(&self.ends), Arc::clone(shared));
        self.threads.push(
            thread::Builder::new()
                .name("link".to_owned())
                .spawn(move || {
                    give(&ends, direction, &link, &receiver);
                })?,
        );
        Ok(())
    }

    /// Whether nothing will pass any more.
    pub(super) fn has_ended(&mut self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Ends it now.
    pub(super) fn end(self) {
        self.ends.close();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

impl Ends {
    /// Where bytes of this direction come from, and where they go to.
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

/// Takes bytes until there are no more, each with the time when it is due.
fn take(ends: &Ends, direction: Direction, link: &Shared, sender: &SyncSender<Chunk>) {
    let (mut from, _) = ends.of(direction);
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => {
                let due = link.conditions.due(direction);
                if sender.send((due, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The end comes after all bytes, as late as they.
            Ok(_end) => {
                let _ = sender.send((link.conditions.due(direction), Vec::new()));
                return;
            }
            Err(_) => {
                // A reset passes on as one.
                if !ends.is_over() {
                    ends.reset();
                }
                return;
            }
        }
    }
}

/// Gives bytes when they are due, as far as the link lets them pass.
fn give(ends: &Ends, direction: Direction, link: &Shared, receiver: &Receiver<Chunk>) {
    let (_, mut to) = ends.of(direction);
    while let Ok((due, mut bytes)) = receiver.recv() {
        let fate = link
            .conditions
            .deliver(direction, due, &mut bytes, || ends.is_over());
        match fate {
            Fate::Lost => return,
            Fate::Delivered(_) if bytes.is_empty() => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Fate::Delivered(time) => {
                if to.write_all(&bytes).is_err() {
                    ends.reset();
                    return;
                }
                link.conditions.pass(time);
            }
            Fate::Severed(length, ending) => {
                let _ = to.write_all(&bytes[..length]);
                match ending {
                    Ending::Reset => ends.reset(),
                    Ending::Close => ends.close(),
                    Ending::HalfClose => {
                        let _ = to.shutdown(Shutdown::Write);
                        // What else the sender sends goes nowhere, and does not hold it up.
                        while receiver.recv().is_ok() {}
                    }
                }
                return;
            }
        }
    }
}

/// Ends a connection with a reset in the place of an orderly end: whoever reads at the other side meets an error.
pub(super) fn reset(end: &TcpStream) {
    #[cfg(unix)]
    let _ = rustix::net::sockopt::set_socket_linger(end, Some(std::time::Duration::ZERO));
    // The descriptor is shared by several threads, so that it cannot be closed here; to connect it to nothing resets it as well.
    #[cfg(unix)]
    let _ = rustix::net::connect_unspec(end);
    let _ = end.shutdown(Shutdown::Both);
}
