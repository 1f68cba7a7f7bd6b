//! Ctrl-Z (`SIGTSTP`) stops a run with its tests, and `fg` continues it.
//!
//! The tests are in process groups of their own, so the terminal's signal reaches the runner only.
//! The runner asks the supervisors to stop their tests, and then stops itself.

#[cfg(unix)]
use crate::os::{job_control, signals::is_ignored};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The shortest suspension. A stop that the kernel refuses takes less time.
const SHORTEST: Duration = Duration::from_millis(2);

/// The suspensions of a run. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspensions(Arc<Mutex<Vec<Suspension>>>);

#[derive(Clone, Copy, Debug)]
struct Suspension {
    began: Instant,
    /// `None` while the run is stopped.
    took: Option<Duration>,
}

impl Suspension {
    fn took(&self) -> Duration {
        self.took.unwrap_or_else(|| self.began.elapsed())
    }
}

impl Suspensions {
    /// Starts to listen for `SIGTSTP`, on a thread of its own. At each signal, calls `suspend` and
    /// stops this process. When the process continues, calls `resume` with the time that has
    /// passed.
    ///
    /// Does nothing if this process ignores the signal.
    ///
    /// # Errors
    ///
    /// When the signal's handler cannot be installed.
    #[cfg(unix)]
    pub(crate) fn listen(
        &self,
        suspend: impl Fn() + Send + 'static,
        resume: impl Fn(Duration) + Send + 'static,
    ) -> io::Result<()> {
        use signal_hook::consts::SIGTSTP;
        use signal_hook::low_level::pipe;
        use std::io::Read as _;
        use std::os::unix::net::UnixStream;
        if is_ignored(SIGTSTP) {
            return Ok(());
        }
        let (mut receiver, sender) = UnixStream::pair()?;
        pipe::register(SIGTSTP, sender)?;
        let this = self.clone();
        std::thread::Builder::new()
            .name("suspension".to_owned())
            .spawn(move || {
                // Several signals before the stop are one request.
                while receiver.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
                    this.begin();
                    suspend();
                    // If the action of the signal cannot be changed, the run goes on.
                    let _ = job_control::stop();
                    resume(this.end());
                }
            })?;
        Ok(())
    }

    /// Does nothing: only Unix has job control.
    #[cfg(not(unix))]
    pub(crate) fn listen(
        &self,
        _suspend: impl Fn() + Send + 'static,
        _resume: impl Fn(Duration) + Send + 'static,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Begins a suspension. Call this method before the run stops.
    fn begin(&self) {
        self.locked().push(Suspension {
            began: Instant::now(),
            took: None,
        });
    }

    /// Ends the suspension that began last. Returns its duration.
    fn end(&self) -> Duration {
        let mut suspensions = self.locked();
        let Some(last) = suspensions.last_mut() else {
            return Duration::ZERO;
        };
        let took = last.took();
        last.took = Some(took);
        if took < SHORTEST {
            suspensions.pop();
        }
        took
    }

    /// Returns the suspensions since `start`: the time from `start` to each, and the duration.
    pub(crate) fn since(&self, start: Instant) -> Vec<(Duration, Duration)> {
        let suspensions = self.locked();
        let since = suspensions.iter().filter_map(|suspension| {
            let offset = suspension.began.checked_duration_since(start)?;
            Some((offset, suspension.took()))
        });
        since.collect()
    }

    /// Returns the time since `start` without the suspensions since `start`.
    pub(crate) fn active_time(&self, start: Instant) -> Duration {
        let suspended: Duration = self.since(start).iter().map(|(_, took)| *took).sum();
        start.elapsed().saturating_sub(suspended)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Suspension>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_time_stands_still_during_a_suspension() {
        let suspensions = Suspensions::default();
        let start = Instant::now();
        suspensions.begin();
        let before = suspensions.active_time(start);
        std::thread::sleep(Duration::from_millis(20));
        // The suspension that has not ended counts, too.
        assert!(suspensions.active_time(start) < before + Duration::from_millis(15));
        assert!(suspensions.end() >= Duration::from_millis(20));
        assert_eq!(suspensions.since(start).len(), 1);
        assert_eq!(suspensions.since(Instant::now()), []);
    }
}
