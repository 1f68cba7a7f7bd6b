//! The death of an operation's process at each of its calls that change files.

use super::Crash;
use super::death_points::{choose, is_crash_point};
use super::disk_states::PowerCuts;
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::intervention::Intervention;
use super::power_cuts;
use super::process_deaths;
use super::progress::Progress;
use super::recovery_points::RecoveryPoints;
use super::trace::Trace;
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// The number of points at which the process really dies.
// All states come from the journal of one run. Real deaths show that the journal is right.
const DEATHS: usize = 3;

/// The settings of an exploration of deaths.
pub(super) struct CrashPoints {
    /// The settings for losses of power, if these are explored.
    pub(super) power_cuts: Option<PowerCuts>,
    /// Whether each process also dies alone.
    pub(super) one_process_dies: bool,
    /// The maximum number of contents that are checked after a crash during recovery, if such
    /// crashes are explored.
    pub(super) recoveries: Option<usize>,
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
            victim: None,
            during_recovery: false,
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
                explorer.write(&snapshot)?;
                progress.calls[index].points += 1;
                let crash = Crash {
                    acknowledged: false,
                    acknowledgements: trace.baseline.acknowledgements(index),
                    power_lost: false,
                    victim: None,
                    during_recovery: false,
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
        explorer.write(&trace.journal.live())?;
        let unreturned = Crash {
            acknowledged: false,
            ..acknowledged
        };
        explorer
            .check(invariant, unreturned)
            .map_err(|message| broken(ExploredState::DiedBeforeReturn, message))?;
        self.die(explorer, &trace, &mut rng)?;
        if self.one_process_dies {
            process_deaths::explore(explorer, &trace.baseline, invariant, progress)?;
        }
        let power_cuts = self.power_cuts.as_ref();
        if let Some(settings) = power_cuts {
            power_cuts::explore(settings, explorer, &trace, invariant, progress)?;
        }
        match self.recoveries {
            Some(maximum) => {
                let seed = self.seed.child("explore", "recoveries");
                RecoveryPoints::new(explorer, &trace, invariant, power_cuts, maximum, seed)
                    .explore(progress)
            }
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
            match explorer.intervene(&trace.baseline, *index, Intervention::Kill) {
                Ok(run) => Trace::check_death(explorer, run)?,
                // All states come from the one run, so a run that takes another way proves nothing.
                Err(ExploreError::Diverged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
