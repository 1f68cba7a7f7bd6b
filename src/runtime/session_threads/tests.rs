use std::sync::Barrier;
use std::sync::mpsc::channel;

use super::*;

/// The duration of a long run, in microseconds.
const LONG: u64 = 1_000;

fn session(threads: usize) -> SessionThreads {
    SessionThreads::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

/// Occupies `threads` threads until the returned sender is dropped.
fn occupy(session: &SessionThreads, threads: usize) -> std::sync::mpsc::Sender<()> {
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let all_here = Arc::new(Barrier::new(threads + 1));
    for _ in 0..threads {
        let (released, all_here) = (Arc::clone(&released), Arc::clone(&all_here));
        session.spawn(Box::new(move || {
            all_here.wait();
            let _ = released.lock().unwrap().recv();
        }));
    }
    all_here.wait();
    release
}

/// Waits until no thread runs work.
fn until_idle(session: &SessionThreads) {
    while session.0.lock().runs.busy() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn work_runs_in_order_of_arrival() {
    let session = session(1);
    let release = occupy(&session, 1);
    let (sender, receiver) = channel();
    for number in 0..8 {
        let sender = sender.clone();
        session.spawn(Box::new(move || sender.send(number).unwrap()));
    }
    drop((release, sender));
    assert_eq!(
        receiver.iter().collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
}

#[test]
fn session_runs_no_more_work_than_its_threads() {
    let session = session(3);
    let release = occupy(&session, 3);
    let (sender, receiver) = channel();
    session.spawn(Box::new(move || sender.send(()).unwrap()));
    assert_eq!(session.0.lock().runs.busy(), 3);
    assert_eq!(session.0.lock().work.len(), 1, "there is no fourth thread");
    drop(release);
    receiver.recv().unwrap();
}

#[test]
fn nested_run_of_the_same_session_is_not_queued() {
    let session = Arc::new(session(1));
    let within = Arc::clone(&session);
    let threads = session.run(move |_| {
        let outer = std::thread::current().id();
        (outer, within.run(|_| std::thread::current().id()))
    });
    assert_eq!(threads.0, threads.1);
    assert_ne!(threads.0, std::thread::current().id());
}

#[test]
fn panic_reaches_the_caller_and_the_thread_lives() {
    let session = session(1);
    session.spawn(Box::new(|| panic!("unheard")));
    let caught = catch(|| session.run(|_| -> () { panic!("heard") }));
    assert_eq!(caught, Err("heard".to_owned()));
    assert_eq!(session.run(|_| 7), 7);
}

#[test]
fn long_run_alone_uses_all_threads() {
    let session = session(2);
    let threads = |_: Arc<ThreadPool>| rayon::current_num_threads();
    let pool_threads = |pool: Arc<ThreadPool>| pool.run(rayon::current_num_threads);
    assert_eq!(session.run(threads), 1);
    assert_eq!(session.run(pool_threads), 1);
    until_idle(&session);
    session.0.last_run.store(LONG, Ordering::Relaxed);
    assert_eq!(session.run(pool_threads), 2);
    until_idle(&session);
    let release = occupy(&session, 1);
    session.0.last_run.store(LONG, Ordering::Relaxed);
    let shared_run = session.run(pool_threads);
    drop(release);
    assert_eq!(shared_run, 1, "another run is under way");
}

#[test]
fn work_without_a_run_says_nothing_about_runs() {
    let session = session(2);
    session.0.last_run.store(LONG, Ordering::Relaxed);
    let (sender, receiver) = channel();
    session.spawn(Box::new(move || sender.send(()).unwrap()));
    receiver.recv().unwrap();
    until_idle(&session);
    assert_eq!(session.0.last_run.load(Ordering::Relaxed), LONG);
}

#[test]
fn queued_work_is_done_after_drop() {
    let session = session(1);
    let release = occupy(&session, 1);
    let (sender, receiver) = channel();
    session.spawn(Box::new(move || sender.send(()).unwrap()));
    let shared = Arc::downgrade(&session.0);
    drop((session, release));
    receiver.recv().unwrap();
    while shared.strong_count() > 0 {
        std::thread::yield_now();
    }
}
