//! The worker's side: loads one version, and runs it for a server.

use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::channel::Channel;
use super::lockdown::{self, Lockdown};
use super::message::{DeclaredTensor, LoadAnswer, LoadOrder, decode_tensors, encode_answer};
use super::shared_memory::FromStart;
use super::{MAX_ORDER_BYTES, MAX_SLOTS};
use crate::panics::catch;
use crate::runtime::load;
use crate::sanitize::sanitize_for_log;
use crate::{Manifest, RunError, Runtime, Session, VerifiedVersion};

/// The exit code of a worker whose server has closed the connection.
const SERVER_CLOSED: i32 = 0;

/// Runs in the process of a worker, whose standard input is the socket of a
/// [`WorkerRuntime`](super::WorkerRuntime). Loads the runtime, locks this process down, and loads
/// the model. Then runs the model for the server, and exits once the server closes the socket.
///
/// `runtime` gets the number of threads for each session.
///
/// # Errors
///
/// When standard input is not such a socket, or the server's order is malformed.
pub fn serve_worker(
    runtime: impl FnOnce(NonZeroUsize) -> Result<Arc<dyn Runtime>, String>,
) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (order, version, slots) = receive_order(&mut control)?;
    let (answer, session) = prepare(runtime, &order, version);
    send(&mut control, &answer)?;
    if let Some(session) = session {
        for slot in slots {
            let session = Arc::clone(&session);
            let builder = thread::Builder::new().name("slot".to_owned());
            builder.spawn(move || serve_slot(slot, &*session))?;
        }
    }
    // Waits until the server closes the socket.
    let _ = io::copy(&mut control, &mut io::sink());
    // A run can still be going on, and nobody waits for its answer.
    std::process::exit(SERVER_CLOSED)
}

/// Loads the runtime, locks this process down, and loads the model.
fn prepare(
    runtime: impl FnOnce(NonZeroUsize) -> Result<Arc<dyn Runtime>, String>,
    order: &LoadOrder,
    version: File,
) -> (LoadAnswer, Option<Arc<dyn Session>>) {
    let unusable = |why: String| (LoadAnswer::Unusable { why }, None);
    let threads = NonZeroUsize::new(order.threads).unwrap_or(NonZeroUsize::MIN);
    let runtime = match runtime(threads) {
        Ok(runtime) => runtime,
        Err(why) => return unusable(why),
    };
    if let Err(error) = lockdown::limit_memory(order.memory) {
        return unusable(format!("cannot limit the memory: {error}"));
    }
    let lockdown = lockdown::lock();
    if order.requires_lockdown && !lockdown.missing.is_empty() {
        return unusable(missing(&lockdown));
    }
    let received = Manifest::parse(order.manifest.as_bytes()).map_err(|error| error.to_string());
    let received = received.and_then(|manifest| {
        let received = VerifiedVersion::receive(manifest, FromStart::new(version));
        received.map_err(|error| error.to_string())
    });
    let version = match received {
        Ok(version) => version,
        Err(why) => return unusable(why),
    };
    match load(&*runtime, version) {
        Err(error) => (LoadAnswer::refused(&error), None),
        Ok(session) => {
            let declare = |specs: &[_]| specs.iter().map(DeclaredTensor::new).collect();
            let answer = LoadAnswer::Loaded {
                inputs: declare(session.inputs()),
                outputs: declare(session.outputs()),
                lockdown,
            };
            (answer, Some(Arc::from(session)))
        }
    }
}

fn missing(lockdown: &Lockdown) -> String {
    format!(
        "--require-worker-sandbox: this system does not enforce {}",
        lockdown.missing.join("; ")
    )
}

/// Answers the runs of one slot, one after the other.
fn serve_slot(mut slot: Channel, session: &dyn Session) {
    loop {
        let Ok(request) = slot.receive(u64::MAX) else {
            return;
        };
        let mut answer = Vec::new();
        let inputs = decode_tensors(&request);
        drop(request);
        let outcome = match inputs {
            None => Err(RunError::Failed("a malformed request".to_owned())),
            Some(inputs) => catch(|| session.run(inputs))
                .unwrap_or_else(|panic| Err(RunError::Panicked(sanitize_for_log(panic)))),
        };
        encode_answer(outcome, &mut answer);
        if slot.send(&answer).is_err() {
            return;
        }
    }
}

/// Receives the order, the bytes of the version and the slots.
fn receive_order(control: &mut UnixStream) -> io::Result<(LoadOrder, File, Vec<Channel>)> {
    let invalid = |why: &str| io::Error::new(ErrorKind::InvalidData, why.to_owned());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1 + 2 * MAX_SLOTS))];
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let mut length = [0; 8];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let message = recvmsg(
        &*control,
        &mut [IoSliceMut::new(&mut length)],
        &mut received,
        flags,
    )?;
    if message.bytes != length.len() || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(invalid("expected an order of a server on standard input"));
    }
    let mut files: Vec<OwnedFd> = Vec::new();
    for message in received.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    let length = u64::from_le_bytes(length).min(MAX_ORDER_BYTES);
    let mut order = Vec::new();
    control.take(length).read_to_end(&mut order)?;
    let mut files = files.into_iter();
    let version = files.next().ok_or_else(|| invalid("expected a version"))?;
    let mut slots = Vec::new();
    while let (Some(socket), Some(memory)) = (files.next(), files.next()) {
        slots.push(Channel::new(socket.into(), memory.into()));
    }
    Ok((serde_json::from_slice(&order)?, version.into(), slots))
}

/// Sends an answer, after its length.
fn send(control: &mut UnixStream, answer: &LoadAnswer) -> io::Result<()> {
    let answer = serde_json::to_vec(answer)?;
    control.write_all(&(answer.len() as u64).to_le_bytes())?;
    control.write_all(&answer)
}
