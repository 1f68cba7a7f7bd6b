//! Forwards connections from the loopback of a sandbox to the services of the run.
//!
//! A socket stays in the network namespace in which it was created. So the supervisor inside of the
//! sandbox listens, and sends its sockets to the *forwarder*, a process outside. The forwarder
//! accepts the connections, and connects to the services.
//!
//! The forwarder is forked before the supervisor's parent leaves its PID namespace: after that, the
//! parent could start no thread, and its children would be visible to the tests.

use crate::data::service::{RunServices, Service, ServiceAddress, VisibleServices};
use crate::os::fork::fork;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal,
    waitpid,
};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process;
use std::thread;
use std::time::Duration;

/// The wait after a failed `accept`, for example because no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Listens on the loopback of this network namespace, for each TCP service of the run. Sends the
/// sockets to the forwarder at the other end of `outside`. Returns the services as tests in this
/// namespace see them.
pub(super) fn listen(run: &RunServices, outside: Option<&UnixStream>) -> VisibleServices {
    let mut services = BTreeMap::new();
    for (index, service) in run.services.iter().enumerate() {
        let address = match &service.address {
            ServiceAddress::Unix(path) => Ok(ServiceAddress::Unix(path.clone())),
            ServiceAddress::Tcp(address) => bind(*address)
                .and_then(|listener| {
                    let own = listener.local_addr()?;
                    let outside = outside.ok_or_else(|| io::Error::other("no forwarder"))?;
                    send(outside, index, listener)?;
                    Ok(ServiceAddress::Tcp(own))
                })
                .map_err(|error| {
                    format!("the sandbox's loopback cannot stand for {address}: {error}")
                }),
        };
        services.insert(service.name.clone(), address);
    }
    VisibleServices {
        services,
        shared: run.shared.clone(),
    }
}

/// Binds the service's own address if it is a loopback address. Otherwise binds a port of
/// `127.0.0.1`: if possible, the service's own port.
fn bind(service: SocketAddr) -> io::Result<TcpListener> {
    if service.ip().is_loopback() {
        return TcpListener::bind(service);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, service.port()))
        .or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

fn send(outside: &UnixStream, index: usize, listener: TcpListener) -> io::Result<()> {
    let index = u32::try_from(index)
        .map_err(io::Error::other)?
        .to_ne_bytes();
    let sockets = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(
        outside,
        &[IoSlice::new(&index)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The forwarder, as its parent sees it.
#[derive(Debug)]
pub(super) struct Forwarder {
    pid: Pid,
    /// The socket for [`listen`].
    pub(super) socket: UnixStream,
}

impl Forwarder {
    /// Ends the forwarder, and waits for its end.
    pub(super) fn end(self) -> io::Result<()> {
        kill_process(self.pid, Signal::KILL)?;
        waitpid(Some(self.pid), WaitOptions::empty())?;
        Ok(())
    }
}

/// Forks the forwarder, which ends with this process. Returns `None` if the run has no TCP service.
pub(super) fn start(run: &RunServices) -> io::Result<Option<Forwarder>> {
    let is_tcp = |service: &Service| matches!(service.address, ServiceAddress::Tcp(_));
    if !run.services.iter().any(is_tcp) {
        return Ok(None);
    }
    let (outside, inside) = UnixStream::pair()?;
    let parent = getpid();
    if let Some(pid) = fork()? {
        let socket = inside;
        return Ok(Some(Forwarder { pid, socket }));
    }
    drop(inside);
    let code = match detach(parent).and_then(|()| forward(&outside, run)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("clarity-chaos: the services of the run cannot be forwarded: {error}");
            1
        }
    };
    process::exit(code)
}

/// Makes this process end with its parent, and closes the pipes between the parent and the runner.
fn detach(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        return Err(io::Error::other("the supervisor has died"));
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok(())
}

/// Receives sockets from `inside`, and forwards their connections to the services of the run.
/// Returns only if no socket comes.
fn forward(inside: &UnixStream, run: &RunServices) -> io::Result<()> {
    let mut accepting = Vec::new();
    while let Some((index, listener)) = receive(inside)? {
        let service = run.services.get(index).map(|service| &service.address);
        if let Some(ServiceAddress::Tcp(address)) = service {
            let address = *address;
            let thread = thread::Builder::new().name("forwarding".to_owned());
            accepting.push(thread.spawn(move || accept(&listener, address))?);
        }
    }
    for thread in accepting {
        let _ = thread.join();
    }
    Ok(())
}

/// Receives a socket with the index of its service. Returns `None` when all sockets were sent.
fn receive(inside: &UnixStream) -> io::Result<Option<(usize, TcpListener)>> {
    let mut index = [0; size_of::<u32>()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        inside,
        &mut [IoSliceMut::new(&mut index)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let socket = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match socket {
        Some(socket) if received.bytes == index.len() => {
            let index = usize::try_from(u32::from_ne_bytes(index)).map_err(io::Error::other)?;
            Ok(Some((index, TcpListener::from(socket))))
        }
        _ => Ok(None),
    }
}

/// Accepts the connections of tests, and connects each to the service.
fn accept(listener: &TcpListener, service: SocketAddr) {
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                let connection = thread::Builder::new().name("forwarding".to_owned());
                // Without a thread, the connection is closed here.
                let _ = connection.spawn(move || connect(&client, service));
            }
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Copies the bytes of a connection in both directions, until both have ended or one has failed.
fn connect(client: &TcpStream, service: SocketAddr) {
    let Ok(server) = TcpStream::connect(service) else {
        return reset(client);
    };
    for stream in [client, &server] {
        // An error is ignored: the bytes come later then, but they come.
        let _ = stream.set_nodelay(true);
    }
    let is_complete = thread::scope(|scope| {
        let answers = scope.spawn(|| copy(&server, client));
        let is_sent = copy(client, &server);
        answers.join().unwrap_or(false) && is_sent
    });
    if !is_complete {
        reset(client);
        reset(&server);
    }
}

/// Copies all bytes, and then closes the direction. Returns `false` if the connection has failed:
/// then ends the other direction, too.
fn copy(from: &TcpStream, to: &TcpStream) -> bool {
    let copied = copy_bytes(from, to).and_then(|()| to.shutdown(Shutdown::Write));
    if copied.is_err() {
        reset(from);
        reset(to);
    }
    copied.is_ok()
}

fn copy_bytes(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&bytes[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the peer see a reset when the connection is closed, and ends all reads of it.
fn reset(stream: &TcpStream) {
    // Errors are ignored: the connection has ended then.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(service: SocketAddr) -> SocketAddr {
        let (outside, inside) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        send(&inside, 0, listener).unwrap();
        let run = RunServices {
            services: vec![Service {
                name: "echo".to_owned(),
                address: ServiceAddress::Tcp(service),
            }],
            ..RunServices::default()
        };
        drop(inside);
        thread::spawn(move || forward(&outside, &run));
        address
    }

    #[test]
    fn forwarding_keeps_bytes_and_the_end_of_each_direction() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = forwarded(server.local_addr().unwrap());
        let answering = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = Vec::new();
            stream.read_to_end(&mut request).unwrap();
            request.reverse();
            stream.write_all(&request).unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        let request: Vec<u8> = (0..1_000_000_u32).map(|one| one.to_le_bytes()[1]).collect();
        client.write_all(&request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        answer.reverse();
        assert!(answer == request);
        answering.join().unwrap();
    }

    #[test]
    fn forwarding_resets_when_the_service_resets_or_refuses() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = forwarded(server.local_addr().unwrap());
        let resetting = thread::spawn(move || {
            let (stream, _) = server.accept().unwrap();
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        });
        for _ in ["reset", "refusal: no server listens any more"] {
            let mut client = TcpStream::connect(address).unwrap();
            let error = client.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        resetting.join().unwrap();
    }
}
