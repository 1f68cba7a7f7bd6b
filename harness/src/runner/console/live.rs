//! What is running at the moment: a progress bar with the tests below it, and a line for each that takes long.

use super::Output;
use clarity_chaos_report::format_seconds;
use indicatif::{ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often what is running is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How many of the running tests are named.
const NAMED: usize = 4;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Tests,
    /// Tests, each with many seeds.
    Cases,
}

impl Unit {
    /// `[#####-----] 4,811/10,000 cases, 2 failed, 6s left`, and below it what is running.
    fn template(self, is_coloured: bool) -> String {
        let counts = match self {
            Self::Tests => "{human_pos}/{human_len} tests{prefix}, {elapsed}",
            Self::Cases => "{human_pos}/{human_len} cases{prefix}, {rate}, {eta} left",
        };
        let running = if is_coloured {
            "{wide_msg:.dim}"
        } else {
            "{wide_msg}"
        };
        format!("[{{wide_bar}}] {counts}\n{running}")
    }
}

/// Shows what is running, until it is ended or dropped.
#[derive(Debug)]
pub(crate) struct Live {
    shared: Arc<Shared>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    output: Arc<Output>,
    slow_after: Duration,
    state: Mutex<State>,
    ending: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, Running>,
    failed: u64,
    is_over: bool,
}

#[derive(Debug)]
struct Running {
    name: String,
    since: Instant,
    /// At which age it is named next.
    named_at: Duration,
}

impl Live {
    /// Begins with so many to run. Calls `slow` with the name and age of what has run for `slow_after`, and again each time that the age has doubled.
    pub(crate) fn begin(
        unit: Unit,
        total: u64,
        output: Arc<Output>,
        slow_after: Duration,
        slow: impl Fn(&str, Duration) + Send + 'static,
    ) -> Self {
        let style = ProgressStyle::with_template(&unit.template(output.colours_the_bar()))
            .expect("the templates are constants")
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{:.0}/s", state.per_sec());
            })
            .progress_chars("#>-");
        output.show_bar(total, style);
        let shared = Arc::new(Shared {
            output,
            slow_after,
            state: Mutex::default(),
            ending: Condvar::new(),
        });
        let ticked = Arc::clone(&shared);
        // Without it nothing is lost but the telling.
        let ticker = thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || ticked.tick(&slow))
            .ok();
        Self {
            shared,
            ticker: Mutex::new(ticker),
        }
    }

    /// Something of this name begins. Gives the number under which it has to end.
    pub(crate) fn started(&self, name: String) -> u64 {
        let mut state = self.shared.state();
        let number = state.next;
        state.next += 1;
        let running = Running {
            name,
            since: Instant::now(),
            named_at: self.shared.slow_after,
        };
        state.running.insert(number, running);
        number
    }

    /// What began under this number has ended.
    pub(crate) fn ended(&self, number: u64, failed: bool) {
        let mut state = self.shared.state();
        state.running.remove(&number);
        state.failed += u64::from(failed);
        let failed = state.failed;
        drop(state);
        let bar = self.shared.output.bar();
        if failed > 0 {
            bar.set_prefix(format!(", {failed} failed"));
        }
        bar.inc(1);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.shared.state().is_over = true;
        self.shared.ending.notify_all();
        let ticker = self
            .ticker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ticker) = ticker {
            let _ = ticker.join();
        }
        self.shared.output.bar().finish_and_clear();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, slow: &dyn Fn(&str, Duration)) {
        let mut state = self.state();
        while !state.is_over {
            for (name, age) in state.late() {
                // Under the lock: nothing is called slow after it has ended.
                slow(&name, age);
            }
            let bar = self.output.bar();
            bar.set_message(state.message());
            bar.tick();
            let waited = self.ending.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// What has reached the age at which it is named, with that age.
    fn late(&mut self) -> Vec<(String, Duration)> {
        let mut late = Vec::new();
        for running in self.running.values_mut() {
            let age = running.since.elapsed();
            if age >= running.named_at {
                late.push((running.name.clone(), age));
                while running.named_at <= age {
                    running.named_at = running.named_at.saturating_mul(2);
                }
            }
        }
        late
    }

    /// What is running, the oldest first: `a::test 12s, another::test 3s and 2 more`.
    fn message(&self) -> String {
        let mut text = String::new();
        for (place, running) in self.running.values().take(NAMED).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let age = running.since.elapsed().as_secs();
            let _ = write!(text, "{comma}{} {age}s", running.name);
        }
        let more = self.running.len().saturating_sub(NAMED);
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text
    }
}

/// The line of something that takes long.
pub(crate) fn slow_line(name: &str, age: Duration) -> String {
    format!("test {name} has been running for {}\n", format_seconds(age))
}
