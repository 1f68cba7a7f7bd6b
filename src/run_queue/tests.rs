use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

/// Work that adds 1 to the first counter when it runs. Its function for the end adds 1 to the
/// second.
#[derive(Clone, Debug, Default)]
struct Counters(Arc<(AtomicUsize, AtomicUsize)>);

impl Counters {
    fn work(&self, deadline: Option<Deadline>) -> Arc<QueuedWork> {
        let (run, end) = (self.clone(), self.clone());
        let run = Box::new(move || {
            run.0.0.fetch_add(1, Ordering::Relaxed);
        });
        let work = QueuedWork::new(run, deadline);
        assert!(work.set_then(Box::new(move || {
            end.0.1.fetch_add(1, Ordering::Relaxed);
        })));
        Arc::new(work)
    }

    /// The numbers of runs and of ends.
    fn get(&self) -> (usize, usize) {
        (
            self.0.0.load(Ordering::Relaxed),
            self.0.1.load(Ordering::Relaxed),
        )
    }
}

/// Uses up one turn. Returns whether work ran.
fn turn(queue: &RunQueue) -> bool {
    let begun = queue.take_turn();
    begun.map(|work| queue.run(work)).is_some()
}

#[test]
fn work_that_left_never_runs_and_is_freed_at_once() {
    let (queue, counters) = (RunQueue::default(), Counters::default());
    let work = counters.work(None);
    assert!(queue.push(Arc::clone(&work)));
    assert!(work.leave(Departure::Abandoned));
    assert_eq!(counters.get(), (0, 1));
    assert_eq!(Arc::strong_count(&counters.0), 1, "the work is not dropped");
    assert!(!work.leave(Departure::Late), "it has left");
    assert!(!work.set_then(Box::new(|| ())), "it has left");
    assert!(!turn(&queue));
    assert_eq!(work.departure(), Some(Departure::Abandoned));
}

#[test]
fn work_that_has_begun_cannot_leave() {
    let (queue, counters) = (RunQueue::default(), Counters::default());
    let work = counters.work(None);
    assert!(queue.push(Arc::clone(&work)));
    let begun = queue.take_turn().unwrap();
    assert!(!work.leave(Departure::Abandoned));
    queue.run(begun);
    assert!(!work.leave(Departure::Abandoned));
    assert_eq!((counters.get(), work.departure()), ((1, 1), None));
}

#[test]
fn dropped_turn_drops_the_first_work() {
    let (queue, counters) = (RunQueue::default(), Counters::default());
    let works = [counters.work(None), counters.work(None)];
    for work in &works {
        assert!(queue.push(Arc::clone(work)));
    }
    queue.drop_turn();
    assert_eq!(works[0].departure(), Some(Departure::Dropped));
    assert!(turn(&queue));
    assert_eq!(counters.get(), (1, 2));
}

/// Two threads race for each work: exactly one of them wins.
#[test]
fn run_and_departure_exclude_each_other() {
    const ROUNDS: usize = 300;
    let (queue, counters) = (RunQueue::default(), Counters::default());
    let works: Vec<_> = (0..ROUNDS).map(|_| counters.work(None)).collect();
    for work in &works {
        assert!(queue.push(Arc::clone(work)));
    }
    let left = thread::scope(|scope| {
        let turns = scope.spawn(|| (0..ROUNDS).filter(|_| turn(&queue)).count());
        // Starts at the other end, so that the threads meet.
        let leave = works.iter().rev().filter(|work| {
            let left = work.leave(Departure::Abandoned);
            queue.remove(work);
            left
        });
        let left = leave.count();
        assert_eq!(turns.join().unwrap() + left, ROUNDS);
        left
    });
    assert_eq!(counters.get(), (ROUNDS - left, ROUNDS));
    let departed = works.iter().filter(|work| work.departure().is_some());
    assert_eq!(departed.count(), left);
    assert_eq!(Arc::strong_count(&counters.0), 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    /// The work with this number leaves, if it exists.
    Leave(usize),
    Turn,
}

proptest! {
    /// Live work runs in order of arrival. The session never has more turns than there were works
    /// at the same time, and always enough of them.
    #[test]
    fn queue_agrees_with_a_plain_list(
        steps in prop::collection::vec(
            prop_oneof![
                2 => Just(Step::Push),
                1 => (0..40_usize).prop_map(Step::Leave),
                1 => Just(Step::Turn),
            ],
            0..80,
        ),
    ) {
        let queue = RunQueue::default();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let (mut works, mut live, mut expected) = (Vec::new(), VecDeque::new(), Vec::new());
        let (mut turns, mut most) = (0, 0);
        let all = steps.into_iter().chain([Step::Turn; 80]);
        for step in all {
            match step {
                Step::Push => {
                    let (number, ran) = (works.len(), Arc::clone(&ran));
                    let run = move || ran.lock().unwrap().push(number);
                    let work = Arc::new(QueuedWork::new(Box::new(run), None));
                    turns += usize::from(queue.push(Arc::clone(&work)));
                    works.push(work);
                    live.push_back(number);
                    most = most.max(live.len());
                }
                Step::Leave(number) => if let Some(work) = works.get(number) {
                    let was_live = live.contains(&number);
                    prop_assert_eq!(work.leave(Departure::Abandoned), was_live);
                    queue.remove(work);
                    live.retain(|live| *live != number);
                }
                Step::Turn if turns > 0 => {
                    turns -= 1;
                    expected.extend(live.pop_front());
                    turn(&queue);
                }
                Step::Turn => {}
            }
            prop_assert!(live.len() <= turns && turns <= most, "{} {turns} {most}", live.len());
            prop_assert_eq!(&*ran.lock().unwrap(), &expected);
        }
        prop_assert!(live.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn work_too_near_its_deadline_leaves_at_its_turn() {
    let seconds = Duration::from_secs;
    for (usual, waited, runs) in [
        (0, 29, true),
        (0, 30, false),
        (0, 31, false),
        (5, 25, true),
        (5, 26, false),
        // Half of the limit is enough, even if the last runs were longer.
        (20, 15, true),
        (20, 16, false),
        (100, 0, true),
    ] {
        let (queue, counters) = (RunQueue::default(), Counters::default());
        queue.lock().usual = seconds(usual);
        let work = counters.work(Some(Deadline::after(seconds(30))));
        assert!(queue.push(Arc::clone(&work)));
        advance(seconds(waited)).await;
        let case = format!("{usual} s usual, {waited} s waited");
        assert_eq!(turn(&queue), runs, "{case}");
        assert_eq!(counters.get(), (usize::from(runs), 1), "{case}");
        let late = (!runs).then_some(Departure::Late);
        assert_eq!(work.departure(), late, "{case}");
    }
}

#[test]
fn usual_follows_longer_runs_at_once_and_shorter_ones_slowly() {
    let seconds = Duration::from_secs;
    assert_eq!(next_usual(seconds(1), seconds(9)), seconds(9));
    assert_eq!(next_usual(seconds(9), seconds(1)), seconds(8));
    let mut usual = seconds(64);
    for _ in 0..64 {
        usual = next_usual(usual, seconds(1));
    }
    assert!(usual < seconds(2), "{usual:?}");
}

/// The work of another thread runs while `during` is called.
fn while_running(queue: &RunQueue, during: impl FnOnce()) {
    let (begin, begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let run = move || {
        begin.send(()).unwrap();
        let _ = released.recv();
    };
    assert!(queue.push(Arc::new(QueuedWork::new(Box::new(run), None))));
    thread::scope(|scope| {
        scope.spawn(|| assert!(turn(queue)));
        begun.recv().unwrap();
        during();
        drop(release);
    });
}

#[test]
fn queue_is_stalled_until_a_run_ends() {
    let queue = RunQueue::default();
    assert!(!queue.expired_since(0), "nothing runs");
    while_running(&queue, || {
        assert_eq!(queue.ended(), Some(0));
        assert!(queue.expired_since(0));
        assert_eq!(queue.ended(), None);
        assert!(!queue.expired_since(0), "it is known already");
    });
    assert_eq!(queue.ended(), Some(1));
    while_running(&queue, || {
        assert!(!queue.expired_since(0), "a run has ended since");
        assert_eq!(queue.ended(), Some(1));
    });
}

/// A session without a model, which notes the threads of abandoned runs.
#[derive(Default)]
struct Noting {
    abandoned: Mutex<Vec<thread::ThreadId>>,
    makes_way: bool,
}

impl Session for Noting {
    fn inputs(&self) -> &[crate::TensorSpec] {
        &[]
    }

    fn outputs(&self) -> &[crate::TensorSpec] {
        &[]
    }

    fn run(&self, _: Vec<crate::Tensor>) -> Result<Vec<crate::Tensor>, crate::RunError> {
        unreachable!("the queue runs the work itself")
    }

    fn abandon(&self, thread: thread::ThreadId) -> bool {
        self.abandoned.lock().unwrap().push(thread);
        self.makes_way
    }
}

#[test]
fn only_a_run_under_way_is_abandoned() {
    let (queue, counters, session) = (RunQueue::default(), Counters::default(), Noting::default());
    let work = counters.work(None);
    assert!(queue.push(Arc::clone(&work)));
    queue.abandon(&work, &session);
    assert_eq!(*session.abandoned.lock().unwrap(), [], "it is queued");
    let begun = queue.take_turn().unwrap();
    queue.abandon(&work, &session);
    assert_eq!(*session.abandoned.lock().unwrap(), [thread::current().id()]);
    queue.run(begun);
    queue.abandon(&work, &session);
    assert_eq!(session.abandoned.lock().unwrap().len(), 1, "it has ended");
}

/// Work that has begun waits for its abandonment, then takes 10 s.
#[tokio::test(start_paused = true)]
async fn abandoned_run_says_nothing_about_usual_runs() {
    for is_abandoned in [false, true] {
        let queue = RunQueue::default();
        let deadline = Deadline::after(Duration::from_secs(30));
        let work = Arc::new(QueuedWork::new(Box::new(|| ()), Some(deadline)));
        assert!(queue.push(Arc::clone(&work)));
        let begun = queue.take_turn().unwrap();
        advance(Duration::from_secs(10)).await;
        if is_abandoned {
            queue.abandon(&work, &Noting::default());
        }
        queue.run(begun);
        let usual = if is_abandoned { 0 } else { 10 };
        assert_eq!(queue.lock().usual, Duration::from_secs(usual));
    }
}

#[test]
fn abandoned_run_that_makes_way_ends_a_stall() {
    for makes_way in [false, true] {
        let queue = RunQueue::default();
        let session = Noting {
            makes_way,
            ..Noting::default()
        };
        let held = Counters::default().work(None);
        assert!(queue.push(Arc::clone(&held)));
        let begun = queue.take_turn().unwrap();
        queue.lock().running += 1;
        assert!(queue.expired_since(0));
        queue.abandon(&held, &session);
        assert_eq!(queue.ended(), makes_way.then_some(1));
        queue.lock().running -= 1;
        queue.run(begun);
    }
}
