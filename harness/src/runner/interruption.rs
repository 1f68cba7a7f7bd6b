//! Ends a run at Ctrl-C or another signal.
//!
//! The first signal ends the running tests, which undo their faults. No further test starts, and
//! the run reports the finished tests. A test on a thread of the runner cannot end: its faults are
//! undone, and it ends with the runner. The second signal ends the runner at once. Then the
//! supervisors end the tests, undo their faults, and clean up.

#[cfg(unix)]
mod unix {
    use crate::os::signals::is_ignored;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::low_level::pipe;
    use std::io::{self, Read as _};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    /// Listens for the signals that end a run.
    #[derive(Clone, Debug)]
    pub(crate) struct Interruption {
        signal: Arc<AtomicUsize>,
    }

    impl Interruption {
        /// Starts to listen for the signals. Calls `act` on a separate thread when the first signal
        /// arrives.
        pub(crate) fn listen(act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
            let (mut receiver, sender) = UnixStream::pair()?;
            let signal = Arc::new(AtomicUsize::new(0));
            let second = Arc::new(AtomicBool::new(false));
            for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
                // Under `nohup`, or in the background of a shell, the process starts with some
                // signals ignored. The process continues to ignore these signals.
                if is_ignored(number) {
                    continue;
                }
                // Actions run in the order of registration. The first action ends the process only
                // if `second` is set, and the next action sets `second`. The first signal therefore
                // does not end the process.
                flag::register_conditional_default(number, Arc::clone(&second))?;
                flag::register(number, Arc::clone(&second))?;
                let value = usize::try_from(number).map_err(io::Error::other)?;
                flag::register_usize(number, Arc::clone(&signal), value)?;
                pipe::register(number, sender.try_clone()?)?;
            }
            thread::Builder::new()
                .name("interruption".to_owned())
                .spawn(move || {
                    // The read fails only if all these signals are ignored: no handler then keeps
                    // the sender open.
                    if receiver.read_exact(&mut [0]).is_ok() {
                        act();
                    }
                })?;
            Ok(Self { signal })
        }

        /// Returns the number of the last signal; `None` before the first signal.
        pub(crate) fn signal(&self) -> Option<u8> {
            let signal = self.signal.load(Ordering::SeqCst);
            u8::try_from(signal).ok().filter(|signal| *signal != 0)
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::Interruption;

/// Does nothing. On systems other than Unix, Ctrl-C ends the runner at once, and the supervisors
/// clean up.
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
