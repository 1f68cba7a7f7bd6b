//! Ctrl-C, and the other ways to ask a run to end.
//!
//! The tests that are running are asked to end, so that their faults are undone; no other begins; what was done so far is reported. The second
//! request ends the runner at once, and the supervisors clean up.

/// The signal that asked for the end of the run, if one did.
#[cfg(unix)]
mod unix {
    use crate::os::signals::is_ignored;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::low_level::pipe;
    use std::io::{self, Read as _};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    /// The first request to end.
    #[derive(Clone, Debug)]
    pub(crate) struct Interruption {
        signal: Arc<AtomicUsize>,
    }

    impl Interruption {
        /// Listens from now on, and calls `act` at the first request.
        pub(crate) fn listen(act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
            let (mut news, sender) = UnixStream::pair()?;
            let signal = Arc::new(AtomicUsize::new(0));
            let second = Arc::new(AtomicBool::new(false));
            for number in [SIGHUP, SIGINT, SIGTERM] {
                // As under `nohup`, or in the background of a shell.
                if is_ignored(number) {
                    continue;
                }
                // In this order: only what came before makes a request the second.
                flag::register_conditional_default(number, Arc::clone(&second))?;
                flag::register(number, Arc::clone(&second))?;
                let told = usize::try_from(number).map_err(io::Error::other)?;
                flag::register_usize(number, Arc::clone(&signal), told)?;
                pipe::register(number, sender.try_clone()?)?;
            }
            thread::Builder::new()
                .name("interruption".to_owned())
                .spawn(move || {
                    // The other end is never closed.
                    if news.read_exact(&mut [0]).is_ok() {
                        act();
                    }
                })?;
            Ok(Self { signal })
        }

        /// The number of the signal.
        pub(crate) fn signal(&self) -> Option<u8> {
            let signal = self.signal.load(Ordering::SeqCst);
            u8::try_from(signal).ok().filter(|signal| *signal != 0)
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::Interruption;

/// Elsewhere Ctrl-C ends the runner at once, and the supervisors clean up.
#[cfg(not(unix))]
#[derive(Clone, Debug)]
pub(crate) struct Interruption;

#[cfg(not(unix))]
impl Interruption {
    pub(crate) fn listen(_act: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn signal(&self) -> Option<u8> {
        None
    }
}
