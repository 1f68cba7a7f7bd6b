use std::sync::Barrier;
use std::sync::mpsc::channel;

use super::*;

/// The duration of a long run, in microseconds.
const LONG: u64 = 1_000;

/// The limit of each wait.
const LIMIT: Duration = Duration::from_secs(60);

/// A session whose idle threads stay.
pub(super) fn session(threads: usize) -> SessionThreads {
    session_with(threads, &Arc::new(IdleThreads::new(usize::MAX, LIMIT)))
}

fn session_with(threads: usize, idle: &Arc<IdleThreads>) -> SessionThreads {
    SessionThreads::new(NonZeroUsize::new(threads).unwrap(), Arc::clone(idle))
}

/// Queues `work`. Fails if the system starts no thread.
pub(super) fn spawn(session: &SessionThreads, work: impl FnOnce() + Send + 'static) {
    assert!(session.spawn(Box::new(work)).is_ok());
}

/// Waits until this number of threads wait for work.
fn until_waiting(session: &SessionThreads, threads: usize) {
    let began = Stopwatch::start();
    while session.0.lock().idle != threads {
        assert!(began.elapsed() < LIMIT, "{:?}", session.0.lock());
        std::thread::yield_now();
    }
}

/// Waits until the session has this number of threads.
fn until_serving(session: &SessionThreads, threads: usize) {
    let began = Stopwatch::start();
    while session.0.lock().serving != threads {
        assert!(began.elapsed() < LIMIT, "{:?}", session.0.lock());
        std::thread::yield_now();
    }
}

/// Occupies `threads` threads until the returned sender is dropped.
fn occupy(session: &SessionThreads, threads: usize) -> std::sync::mpsc::Sender<()> {
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let all_here = Arc::new(Barrier::new(threads + 1));
    for _ in 0..threads {
        let (released, all_here) = (Arc::clone(&released), Arc::clone(&all_here));
        spawn(session, move || {
            all_here.wait();
            let _ = released.lock().unwrap().recv();
        });
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
        spawn(&session, move || sender.send(number).unwrap());
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
    spawn(&session, move || sender.send(()).unwrap());
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
    spawn(&session, || panic!("unheard"));
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
    spawn(&session, move || sender.send(()).unwrap());
    receiver.recv().unwrap();
    until_idle(&session);
    assert_eq!(session.0.last_run.load(Ordering::Relaxed), LONG);
}

#[test]
fn queued_work_is_done_after_drop() {
    let session = session(1);
    let release = occupy(&session, 1);
    let (sender, receiver) = channel();
    spawn(&session, move || sender.send(()).unwrap());
    let shared = Arc::downgrade(&session.0);
    drop((session, release));
    receiver.recv().unwrap();
    while shared.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn session_without_work_has_no_thread() {
    let session = session(4);
    assert_eq!(session.0.lock().serving, 0);
    assert_eq!(session.run(|_| 7), 7);
    until_waiting(&session, 1);
    assert_eq!(session.run(|_| 8), 8);
    assert_eq!(session.0.lock().serving, 1, "one run at a time");
    let release = occupy(&session, 4);
    assert_eq!(session.0.lock().serving, 4);
    drop(release);
}

#[test]
fn idle_threads_and_their_wide_pool_end_after_their_time() {
    let idle = Arc::new(IdleThreads::new(usize::MAX, Duration::ZERO));
    let session = session_with(2, &idle);
    session.0.last_run.store(LONG, Ordering::Relaxed);
    assert_eq!(
        session.run(|pool| pool.run(rayon::current_num_threads)),
        2,
        "a wide pool"
    );
    until_serving(&session, 0);
    assert!(session.0.lock().wide_pool.is_none());
    assert_eq!(session.run(|_| 7), 7, "a new thread starts");
    until_serving(&session, 0);
}

#[test]
fn idle_threads_beyond_the_limit_end_at_once() {
    let idle = Arc::new(IdleThreads::new(1, LIMIT));
    let [first, second] = [session_with(1, &idle), session_with(1, &idle)];
    assert_eq!(first.run(|_| 7), 7);
    until_waiting(&first, 1);
    assert_eq!(second.run(|_| 8), 8);
    until_serving(&second, 0);
    assert_eq!(first.0.lock().serving, 1);
}
