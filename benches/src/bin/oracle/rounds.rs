//! Measures the loops in rounds. Each round runs every loop once.

use crate::loops;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The processor times of one iteration of each loop, in nanoseconds. Each list has one number for
/// each round.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) empty: Vec<f64>,
    pub(crate) dormant: Vec<f64>,
    pub(crate) listening: Vec<f64>,
}

/// Runs every loop once in each round. An extra round at the start warms up and does not count.
pub(crate) fn measure(rounds: u16, iterations: u32) -> Measured {
    let mut measured = Measured::default();
    for round in 0..=rounds {
        for (run, numbers) in [
            (loops::empty as fn(u32), &mut measured.empty),
            (loops::dormant, &mut measured.dormant),
            (loops::listening, &mut measured.listening),
        ] {
            let nanoseconds = time(run, iterations);
            if round > 0 {
                numbers.push(nanoseconds);
            }
        }
    }
    measured
}

fn time(run: fn(u32), iterations: u32) -> f64 {
    let before = processor_time();
    run(iterations);
    let used = processor_time() - before;
    used.as_secs_f64() * 1e9 / f64::from(iterations)
}

/// Returns the processor time that this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measure_gives_every_round_of_every_loop_but_the_first() {
        let measured = measure(2, 1000);
        for numbers in [measured.empty, measured.dormant, measured.listening] {
            assert_eq!(numbers.len(), 2);
            assert!(numbers.iter().all(|&nanoseconds| nanoseconds > 0.0));
        }
    }
}
