//! The death of an operation's process at each of its calls that change files.

use super::Crash;
use super::disk_states::PowerCuts;
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::operation_run::Intervention;
use super::power_cuts;
use super::progress::Progress;
use super::trace::Trace;
use crate::syscalls::file_call::FileCall;
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// The number of points at which the process really dies.
// All states come from the journal of one run. Real deaths show that the journal is right.
const DEATHS: usize = 3;

/// The settings of an exploration of deaths.
pub(super) struct CrashPoints {
    /// The settings for losses of power, if these are explored.
    pub(super) power_cuts: Option<PowerCuts>,
    pub(super) seed: Seed,
}

impl CrashPoints {
    /// Checks the content that a death at each crash point leaves. Then explores losses of power.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        invariant: Invariant<'_, Crash>,
        progress: &mut Progress,
    ) -> Result<(), ExploreError> {
        let trace = Trace::record(explorer)?;
        let calls = trace.baseline.calls();
        progress.begin(&trace.baseline);
        for (call, explored) in calls.iter().zip(&mut progress.calls) {
            explored.exempt = !is_crash_point(call);
        }
        let acknowledged = Crash {
            acknowledged: true,
            acknowledgements: trace.baseline.acknowledgements(calls.len()),
            power_lost: false,
        };
        explorer
            .check(invariant, acknowledged)
            .map_err(|message| broken(ExploredState::Completed, message))?;
        let mut rng = rng(self.seed);
        let mut replay = trace.journal.replay();
        for (index, _) in calls
            .iter()
            .enumerate()
            .filter(|(_, call)| is_crash_point(call))
        {
            replay.advance_to(index);
            let torn = choose(&replay.torn_lengths(), &mut rng);
            let deaths = [None].into_iter().chain(torn.into_iter().map(Some));
            for written in deaths {
                let snapshot = match written {
                    Some(written) => replay.torn(written),
                    None => replay.snapshot(),
                };
                explorer.write(&trace.baseline.volatile.apply(index, snapshot))?;
                progress.calls[index].points += 1;
                let crash = Crash {
                    acknowledged: false,
                    acknowledgements: trace.baseline.acknowledgements(index),
                    power_lost: false,
                };
                if let Err(message) = explorer.check(invariant, crash) {
                    progress.calls[index].invariant_broken = true;
                    let call = explorer.locate(&trace.baseline, index);
                    let state = ExploredState::ProcessDied { call, written };
                    return Err(broken(state, message));
                }
            }
        }
        // The process can also die after its last call, before it returns success.
        let live = trace.journal.live();
        explorer.write(&trace.baseline.volatile.apply(calls.len(), live))?;
        let unreturned = Crash {
            acknowledged: false,
            ..acknowledged
        };
        explorer
            .check(invariant, unreturned)
            .map_err(|message| broken(ExploredState::DiedBeforeReturn, message))?;
        self.die(explorer, &trace, &mut rng)?;
        match &self.power_cuts {
            Some(settings) => power_cuts::explore(settings, explorer, &trace, invariant, progress),
            None => Ok(()),
        }
    }

    /// Lets the process really die at a few drawn points. Requires that its earlier calls explain
    /// the content that it leaves.
    fn die(
        &self,
        explorer: &Explorer<'_>,
        trace: &Trace,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ExploreError> {
        let calls = trace.baseline.calls();
        let points: Vec<usize> = (0..calls.len())
            .filter(|index| is_crash_point(&calls[*index]))
            .collect();
        for index in points.sample(rng, DEATHS) {
            let run = explorer.run(&Intervention::Kill(trace.baseline.point(*index)))?;
            // A run that takes another way may not come to the point.
            if run.reached {
                Trace::check_death(explorer, run)?;
            }
        }
        Ok(())
    }
}

/// Chooses the first length, a drawn one, and the last.
fn choose(lengths: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut chosen = match lengths {
        [] => Vec::new(),
        [first, .., last] => vec![*first, lengths[rng.random_range(0..lengths.len())], *last],
        [only] => vec![*only],
    };
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Whether the call is a crash point. A crash point changes files. A sync is not a crash point,
/// since a sync only makes earlier changes durable.
fn is_crash_point(call: &FileCall) -> bool {
    call.effect.is_point() && !call.effect.is_sync()
}
