use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rten::ThreadPool;

use super::super::SessionThreads;
use super::super::tests::{session, spawn};
use super::*;
use crate::session::Work;
use crate::stopwatch::Stopwatch;
use crate::system_thread::SystemThread;

/// The duration of a long run, in microseconds.
const LONG: u64 = 1_000;

/// The limit of each wait.
const LIMIT: Duration = Duration::from_secs(60);

/// Work that runs until this value is dropped.
struct HeldRun {
    id: ThreadId,
    thread: SystemThread,
    _release: Sender<()>,
}

/// Work that says its thread and waits for its release.
fn held_work() -> (Work, Receiver<HeldRun>) {
    let (begin, begun) = channel();
    let work = move || {
        let (release, released) = channel::<()>();
        let run = HeldRun {
            id: thread::current().id(),
            thread: SystemThread::current(),
            _release: release,
        };
        begin.send(run).unwrap();
        let _ = released.recv_timeout(LIMIT);
    };
    (Box::new(work), begun)
}

/// Begins a run that occupies one thread.
fn hold(session: &SessionThreads) -> HeldRun {
    let (work, begun) = held_work();
    spawn(session, work);
    begun.recv_timeout(LIMIT).expect("no thread takes the work")
}

/// The result of a run in a pool. Fails if the run does not begin.
fn run<T: Send + 'static>(
    session: &SessionThreads,
    run: impl FnOnce(&ThreadPool) -> T + Send + 'static,
) -> T {
    let (send, receive) = channel();
    let shared = Arc::clone(&session.0);
    spawn(session, move || {
        let pool = shared.current_pool().unwrap();
        send.send(run(&pool)).unwrap();
    });
    receive
        .recv_timeout(LIMIT)
        .expect("no thread takes the work")
}

fn until(description: &str, mut condition: impl FnMut() -> bool) {
    let began = Stopwatch::start();
    while !condition() {
        assert!(
            began.elapsed() < LIMIT,
            "not within {LIMIT:?}: {description}"
        );
        thread::yield_now();
    }
}

/// Waits until `runs` runs are not demoted.
fn until_busy(session: &SessionThreads, runs: usize) {
    until("demotion", || session.0.lock().runs.busy() == runs);
}

/// Waits until only threads that take work are left. Each holds two references.
fn until_threads_ended(session: &SessionThreads) {
    until("the end of the demoted threads", || {
        let queue = session.0.lock();
        Arc::strong_count(&session.0) == 1 + 2 * queue.serving
    });
}

fn long(session: &SessionThreads) {
    session.0.last_run.store(LONG, Ordering::Relaxed);
}

#[test]
fn work_runs_while_abandoned_runs_hold_all_threads() {
    let session = session(2);
    let held = [hold(&session), hold(&session)];
    for run in &held {
        assert!(session.abandon(run.id));
    }
    assert_eq!(run(&session, |_| 7), 7);
    until_busy(&session, 0);
    drop(held);
    until_threads_ended(&session);
    assert_eq!(run(&session, |_| 8), 8);
}

#[test]
fn work_behind_an_abandoned_run_begins_in_order() {
    let session = session(1);
    let held = hold(&session);
    let (send, receive) = channel();
    for number in 0..8 {
        let send = send.clone();
        spawn(&session, move || send.send(number).unwrap());
    }
    assert!(session.abandon(held.id));
    let order = || receive.recv_timeout(LIMIT).unwrap();
    assert_eq!([(); 8].map(|()| order()), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn abandoned_runs_beyond_the_limit_wait_for_demoted_ones() {
    let session = session(2);
    let mut first = vec![hold(&session), hold(&session)];
    for run in &first {
        assert!(session.abandon(run.id));
    }
    until_busy(&session, 0);
    let second = [hold(&session), hold(&session)];
    for run in &second {
        assert!(!session.abandon(run.id), "the limit is reached");
    }
    let (work, begun) = held_work();
    spawn(&session, work);
    assert_eq!(session.0.lock().runs.busy(), 2);
    assert_eq!(session.0.lock().work.len(), 1, "there is no fifth thread");
    first.pop();
    let begun = begun.recv_timeout(LIMIT).expect("no thread takes the work");
    until_busy(&session, 2);
    assert!(session.0.lock().runs.has_abandoned());
    drop((first, second, begun));
    until_threads_ended(&session);
}

#[test]
fn abandoned_run_that_ends_soon_keeps_its_thread() {
    let session = session(1);
    let held = hold(&session);
    let before = held.id;
    assert_eq!(session.0.lock().runs.abandon(held.id), Some(true));
    drop(held);
    until("the end of the run", || session.0.lock().runs.busy() == 0);
    session.0.start_demoter(&mut session.0.lock());
    until("the demoter's end", || !session.0.lock().is_demoting);
    assert_eq!(run(&session, |_| thread::current().id()), before);
}

#[test]
fn abandoning_a_thread_without_a_run_does_nothing() {
    let session = session(1);
    let before = run(&session, |_| thread::current().id());
    until("the end of the run", || session.0.lock().runs.busy() == 0);
    assert!(!session.abandon(before));
    assert!(!session.abandon(thread::current().id()));
    assert!(!session.0.lock().is_demoting);
}

#[test]
fn long_run_beside_demoted_ones_uses_all_threads() {
    let session = session(2);
    let held = [hold(&session), hold(&session)];
    for run in &held {
        session.abandon(run.id);
    }
    until_busy(&session, 0);
    long(&session);
    let threads = run(&session, |pool| pool.run(rayon::current_num_threads));
    assert_eq!(threads, 2);
}

/// A long run alone on all threads, which is demoted while it is held.
fn demoted_wide_run(session: &SessionThreads) -> HeldRun {
    let (send, receive) = channel();
    let (work, begun) = held_work();
    let shared = Arc::clone(&session.0);
    spawn(session, move || {
        shared.last_run.store(LONG, Ordering::Relaxed);
        send.send(shared.current_pool().unwrap()).unwrap();
        work();
    });
    let held = begun.recv_timeout(LIMIT).unwrap();
    let pool = receive.recv_timeout(LIMIT).unwrap();
    assert_eq!(pool.run(rayon::current_num_threads), 2);
    assert!(session.abandon(held.id));
    held
}

#[test]
#[cfg(target_os = "linux")]
fn only_demoted_threads_have_the_lowest_priority() {
    // The whole test can run with the lowest priority.
    let usual = SystemThread::current().has_lowest_priority();
    let session = session(2);
    let held = demoted_wide_run(&session);
    let wide = session.0.lock().wide_pool.clone().unwrap();
    until_busy(&session, 0);
    assert!(held.thread.has_lowest_priority());
    assert!(wide.has_lowest_priority());
    let narrow = [hold(&session), hold(&session)];
    for run in &narrow {
        assert_eq!(run.thread.has_lowest_priority(), usual);
    }
    drop(narrow);
    until_busy(&session, 0);
    long(&session);
    let is_lowest = run(&session, |pool| {
        pool.run(|| rayon::broadcast(|_| SystemThread::current().has_lowest_priority()))
    });
    assert_eq!(is_lowest, [usual, usual]);
}

#[test]
fn demoted_run_that_runs_a_model_stays_on_its_own_thread() {
    let session = session(2);
    let (begin, begun) = channel();
    let (release, released) = channel::<()>();
    let shared = Arc::clone(&session.0);
    let (send, receive) = channel();
    spawn(&session, move || {
        begin.send(thread::current().id()).unwrap();
        let _ = released.recv_timeout(LIMIT);
        let pool = shared.current_pool().unwrap();
        send.send(pool.run(rayon::current_num_threads)).unwrap();
    });
    session.abandon(begun.recv_timeout(LIMIT).unwrap());
    until_busy(&session, 0);
    long(&session);
    let other = hold(&session);
    drop(release);
    assert_eq!(receive.recv_timeout(LIMIT).unwrap(), 1);
    drop(other);
}

/// The system starts no thread for a while: the demoted thread itself takes the work.
#[test]
fn demoted_thread_without_a_replacement_takes_work() {
    let session = session(1);
    let held = hold(&session);
    let demoted = held.id;
    let (send, receive) = channel();
    {
        let mut queue = session.0.lock();
        assert_eq!(queue.runs.abandon(demoted), Some(true));
        queue.demote();
        assert_eq!(queue.serving, 0);
        let work = move || send.send(thread::current().id()).unwrap();
        queue.work.push_back(Box::new(work));
    }
    drop(held);
    assert_eq!(receive.recv_timeout(LIMIT), Ok(demoted));
    // The next work starts a thread, and the demoted one ends.
    assert_ne!(run(&session, |_| thread::current().id()), demoted);
    until_threads_ended(&session);
}

#[test]
fn work_is_done_after_the_drop_of_a_session_with_demoted_runs() {
    let session = session(1);
    let held = hold(&session);
    assert!(session.abandon(held.id));
    let (send, receive) = channel();
    spawn(&session, move || send.send(7).unwrap());
    let shared = Arc::downgrade(&session.0);
    drop(session);
    assert_eq!(receive.recv_timeout(LIMIT), Ok(7));
    drop(held);
    until("the end of all threads", || shared.strong_count() == 0);
}
