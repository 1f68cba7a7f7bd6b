//! Threads as the operating system schedules them.

/// A thread of this process, for the operating system's scheduler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemThread {
    #[cfg(target_os = "linux")]
    id: rustix::process::Pid,
}

/// The lowest priority: about 1.5 % of a processor that another thread uses fully.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

impl SystemThread {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            id: rustix::thread::gettid(),
        }
    }

    /// Gives the thread the lowest priority, which an ordinary user cannot raise again. Threads
    /// that it starts later inherit the priority. Does nothing on systems other than Linux.
    ///
    /// The caller makes sure that the thread has not ended: the system reuses its number.
    // On Linux, a priority applies to one thread; on other systems, it applies to the process.
    pub(crate) fn lower_priority(self) {
        // If this fails, the thread keeps its priority.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(Some(self.id), LOWEST);
    }

    /// Whether the thread has the lowest priority.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn has_lowest_priority(self) -> bool {
        rustix::process::getpriority_process(Some(self.id)).unwrap() == LOWEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn lower_priority_reaches_one_thread_and_its_children() {
        // The whole test can run with the lowest priority.
        let usual = SystemThread::current().has_lowest_priority();
        let (send, receive) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            send.send(SystemThread::current()).unwrap();
            released.recv().unwrap();
            let child = std::thread::spawn(|| SystemThread::current().has_lowest_priority());
            child.join().unwrap()
        });
        let lowered = receive.recv().unwrap();
        lowered.lower_priority();
        assert!(lowered.has_lowest_priority());
        assert_eq!(SystemThread::current().has_lowest_priority(), usual);
        release.send(()).unwrap();
        assert!(thread.join().unwrap(), "a child inherits the priority");
    }
}
