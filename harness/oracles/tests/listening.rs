//! Tests of oracles with a listening sink, and of oracles without a sink.

use clarity_chaos_oracles::{
    Oracle, OracleKind, Sink, always, catalogue, listen, reachable, silence, sometimes,
};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// The lock for the process's only sink: one test at a time uses the sink.
static TURN: Mutex<()> = Mutex::new(());

/// Exclusive use of the process's sink. Dropping the turn calls `silence`.
struct Turn {
    _guard: MutexGuard<'static, ()>,
}

impl Turn {
    fn new() -> Self {
        Self {
            _guard: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        silence();
    }
}

/// A sink that records all of its calls, in order.
#[derive(Default)]
struct Recorder(Mutex<Vec<(&'static str, String)>>);

impl Recorder {
    fn listening() -> Arc<Self> {
        let recorder = Arc::new(Self::default());
        listen(recorder.clone());
        recorder
    }

    fn push(&self, call: &'static str, oracle: &Oracle) {
        let message = oracle.message().to_owned();
        self.0.lock().unwrap().push((call, message));
    }

    fn calls(&self) -> Vec<(&'static str, String)> {
        self.0.lock().unwrap().clone()
    }

    /// Returns the names of all calls, and checks that each call is for the oracle with this
    /// message.
    fn calls_for(&self, message: &str) -> Vec<&'static str> {
        let calls = self.calls().into_iter();
        calls
            .map(|(call, of)| {
                assert_eq!(of, message);
                call
            })
            .collect()
    }
}

impl Sink for Recorder {
    fn reached(&self, oracle: &'static Oracle, holds: bool) {
        self.push(if holds { "true" } else { "false" }, oracle);
    }

    fn violated(&self, oracle: &'static Oracle) {
        self.push("violated", oracle);
    }
}

fn found(message: &str) -> &'static Oracle {
    let mut found = catalogue().filter(|oracle| oracle.message() == message);
    let oracle = found.next().unwrap();
    assert!(found.next().is_none(), "{message} is there twice");
    oracle
}

#[test]
fn dormant_oracles_evaluate_nothing() {
    let _turn = Turn::new();
    let evaluated = Cell::new(0);
    let evaluate = || {
        evaluated.set(evaluated.get() + 1);
        false
    };
    let reach_all = || {
        always!(evaluate(), "dormant");
        sometimes!(evaluate(), "dormant");
        reachable!("dormant");
    };
    reach_all();
    assert_eq!(evaluated.get(), 0);

    let recorder = Recorder::listening();
    assert!(panic::catch_unwind(AssertUnwindSafe(reach_all)).is_err());
    assert_eq!(evaluated.get(), 1);
    let calls = recorder.calls().len();

    silence();
    reach_all();
    assert_eq!((evaluated.get(), recorder.calls().len()), (1, calls));
}

#[test]
fn sink_gets_each_result_once() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    for number in [3, 2, 1, 2, 3] {
        sometimes!(number > 2, "above two");
    }
    assert_eq!(recorder.calls_for("above two"), ["true", "false"]);
}

#[test]
fn sink_gets_reachable_as_true_once() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    for _ in 0..3 {
        reachable!("inside of the loop");
    }
    assert_eq!(recorder.calls_for("inside of the loop"), ["true"]);
}

#[test]
fn listen_again_reports_again_to_the_new_sink() {
    let _turn = Turn::new();
    let reach = || [true, true, false, false].map(|holds| sometimes!(holds, "for each sink"));
    let first = Recorder::listening();
    reach();
    let second = Recorder::listening();
    reach();
    for recorder in [first, second] {
        assert_eq!(recorder.calls_for("for each sink"), ["true", "false"]);
    }
}

#[test]
fn silence_drops_the_sink() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    assert_eq!(Arc::strong_count(&recorder), 2);
    silence();
    assert_eq!(Arc::strong_count(&recorder), 1);
}

#[test]
fn violated_always_panics_and_counts_when_caught() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    let violate = |number: u32| always!(number == 1, "one is one");
    violate(1);
    for _ in 0..2 {
        let payload = panic::catch_unwind(|| violate(2)).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert_eq!(message, "it does not always hold: one is one");
    }
    let calls = recorder.calls_for("one is one");
    assert_eq!(calls, ["true", "false", "violated", "violated"]);
}

#[test]
fn false_sometimes_neither_panics_nor_violates() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    sometimes!(1 > 2, "one is more");
    assert_eq!(recorder.calls_for("one is more"), ["false"]);
}

#[test]
fn panic_of_always_points_at_the_macro() {
    let _turn = Turn::new();
    let _recorder = Recorder::listening();
    let location = Arc::new(Mutex::new(None));
    let seen = location.clone();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let location = info.location().unwrap();
        *seen.lock().unwrap() = Some((location.file().to_owned(), location.line()));
    }));
    let line = line!() + 1;
    let violated = panic::catch_unwind(|| always!(1 > 2, "one is above two"));
    panic::set_hook(hook);
    assert!(violated.is_err());
    assert_eq!(
        location.lock().unwrap().take(),
        Some((file!().to_owned(), line))
    );
}

#[test]
fn catalogue_lists_oracles_that_nothing_reaches() {
    const LINE: u32 = line!() + 5;
    struct Cart;
    impl Cart {
        async fn add(amount: u32) {
            let check = || async move {
                sometimes!(amount > 7, "more than seven are added");
            };
            check().await;
        }
    }
    let _never_polled = Cart::add(1);
    let oracle = found("more than seven are added");
    assert_eq!(oracle.kind(), OracleKind::Sometimes);
    assert_eq!((oracle.file(), oracle.line()), (file!(), LINE));
    assert_eq!(
        oracle.function(),
        "listening::catalogue_lists_oracles_that_nothing_reaches::Cart::add"
    );
    let place = format!("({}:{LINE})", file!());
    assert_eq!(
        oracle.to_string(),
        format!("sometimes! \"more than seven are added\" {place}")
    );
}

#[test]
fn catalogue_knows_every_kind() {
    let _in_catalogue = || {
        always!(true, "of the kind always");
        sometimes!(true, "of the kind sometimes");
        reachable!("of the kind reachable");
    };
    for (message, kind, name) in [
        ("of the kind always", OracleKind::Always, "always!"),
        ("of the kind sometimes", OracleKind::Sometimes, "sometimes!"),
        ("of the kind reachable", OracleKind::Reachable, "reachable!"),
    ] {
        assert_eq!(found(message).kind(), kind);
        assert_eq!(kind.to_string(), name);
    }
}

#[test]
fn condition_sees_the_callers_names_alone() {
    const ORACLE: u32 = 1;
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    let (scope, holds) = (1, 1);
    always!(
        scope == 1 && ORACLE == 1 && holds == 1,
        "the names are the caller's"
    );
    assert_eq!(recorder.calls_for("the names are the caller's"), ["true"]);
}

#[test]
fn condition_may_leave_the_function() {
    fn parse(text: &str) -> Option<u32> {
        always!(text.parse::<u32>().ok()? < 10, "one digit");
        Some(0)
    }
    let _turn = Turn::new();
    assert_eq!(parse("x"), Some(0));
    let recorder = Recorder::listening();
    assert_eq!((parse("x"), parse("7")), (None, Some(0)));
    assert_eq!(recorder.calls_for("one digit"), ["true"]);
}

#[test]
fn sink_may_reach_oracles_and_stop_listening() {
    struct Reaching;
    impl Sink for Reaching {
        fn reached(&self, _: &'static Oracle, _: bool) {
            reachable!("inside of a sink");
            silence();
        }
    }
    impl Drop for Reaching {
        fn drop(&mut self) {
            reachable!("while a sink is dropped");
        }
    }
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let _turn = Turn::new();
        listen(Arc::new(Reaching));
        reachable!("outside of a sink");
        // The recorder replaces this sink. The sink's destructor then reaches an oracle, and the
        // recorder gets the call.
        listen(Arc::new(Reaching));
        let recorder = Recorder::listening();
        done.send(recorder.calls_for("while a sink is dropped"))
    });
    // A deadlock must fail the test instead of blocking the test forever.
    let calls = finished.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(calls, ["true"]);
}

#[test]
fn threads_report_each_result_once_together() {
    let _turn = Turn::new();
    let recorder = Recorder::listening();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..1000 {
                    sometimes!(number % 2 == 0, "an even number");
                }
            });
        }
    });
    let mut calls = recorder.calls_for("an even number");
    calls.sort_unstable();
    assert_eq!(calls, ["false", "true"]);
}
