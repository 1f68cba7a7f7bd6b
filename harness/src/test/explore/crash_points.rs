//! The death of an operation's process at each of its calls that change files.

use super::broken_points::BrokenPoints;
use super::checker::Checker;
use super::death_points::{choose, is_crash_point};
use super::disk_states::{DiskStates, PowerCuts};
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::Explorer;
use super::intervention::Intervention;
use super::posix_look;
use super::power_cuts;
use super::process_deaths;
use super::progress::Progress;
use super::recovery_points::RecoveryPoints;
use super::trace::Trace;
use super::{Crash, PowerLoss};
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;

/// The number of points for each one at which the process really dies.
// All states come from the journal of one run. Real deaths show that the journal is right.
const POINTS_PER_DEATH: usize = 12;

/// The minimum and maximum of points at which the process really dies.
const DEATHS: RangeInclusive<usize> = 2..=8;

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
    /// Adds broken points to `broken`.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        checker: &Checker<'_, Crash>,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<(), ExploreError> {
        let trace = Trace::record(explorer)?;
        let Trace { baseline, journal } = &trace;
        let calls = baseline.calls();
        progress.begin(baseline);
        for (call, explored) in calls.iter().zip(&mut progress.calls) {
            explored.exempt = !is_crash_point(call);
        }
        let deaths = calls.iter().filter(|call| is_crash_point(call)).count();
        progress.expected = deaths + 2 + self.power_cuts.as_ref().map_or(0, |cuts| cuts.maximum);
        progress.reach(calls.len());
        let acknowledged = Crash {
            acknowledged: true,
            acknowledgements: baseline.acknowledgements(calls.len()),
            power_lost: false,
            victim: None,
            during_recovery: false,
        };
        if let Err(message) = checker.check(acknowledged) {
            let state = ExploredState::Completed;
            broken.add(baseline, calls.len(), state, message, &journal.live());
            return Ok(());
        }
        let mut rng = rng(self.seed);
        self.explore_deaths(explorer, &trace, checker, progress, broken, &mut rng)?;
        if broken.is_empty() {
            self.die(explorer, &trace, &mut rng)?;
        }
        if self.one_process_dies && (broken.is_empty() || broken.goes_on()) {
            process_deaths::explore(explorer, baseline, checker, progress, broken)?;
        }
        // A broken invariant after a death does not hide the losses of power.
        let mut states = None;
        if let Some(settings) = &self.power_cuts {
            let states = states.insert(DiskStates::new(explorer, settings));
            power_cuts::explore(states, explorer, &trace, checker, progress, broken)?;
        }
        if let Some(maximum) = self.recoveries
            && (broken.is_empty() || broken.goes_on())
        {
            let seed = self.seed.child("explore", "recoveries");
            let power_cuts = self.power_cuts.as_ref();
            RecoveryPoints::new(explorer, &trace, checker, power_cuts, maximum, seed)
                .explore(progress, broken)?;
        }
        if let Some(states) = states
            && broken.is_empty()
            && states.power_loss() != PowerLoss::Posix
        {
            // The look makes only a note, so its errors do not matter.
            let found = posix_look::look(states, &trace, checker, progress, broken);
            progress.breaks_under_posix = found.unwrap_or_default();
        }
        Ok(())
    }

    /// Checks the contents that the deaths of the process leave. Stops at the first broken point,
    /// unless the exploration goes on.
    fn explore_deaths(
        &self,
        explorer: &Explorer<'_>,
        trace: &Trace,
        checker: &Checker<'_, Crash>,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), ExploreError> {
        let Trace { baseline, journal } = trace;
        let calls = baseline.calls();
        let crash = |index| Crash {
            acknowledged: false,
            acknowledgements: baseline.acknowledgements(index),
            power_lost: false,
            victim: None,
            during_recovery: false,
        };
        let mut replay = journal.replay();
        // A call such as a sync leaves what the call before has left.
        let mut checked = None;
        for (index, _) in calls
            .iter()
            .enumerate()
            .filter(|(_, call)| is_crash_point(call))
        {
            replay.advance_to(index);
            let torn = choose(&replay.torn_lengths(), rng);
            let deaths = [None].into_iter().chain(torn.into_iter().map(Some));
            for written in deaths {
                let snapshot = match written {
                    Some(written) => replay.torn(written),
                    None => replay.snapshot(),
                };
                let snapshot = baseline.volatile.apply(index, snapshot);
                progress.reach(index);
                progress.calls[index].points += 1;
                let circumstances = (crash(index), snapshot);
                if checked.as_ref() == Some(&circumstances) {
                    continue;
                }
                let (crash, snapshot) = checked.insert(circumstances);
                explorer.write(snapshot)?;
                if let Err(message) = checker.check(*crash) {
                    progress.calls[index].invariant_broken = true;
                    let call = broken.locate(baseline, index);
                    let state = ExploredState::ProcessDied { call, written };
                    broken.add(baseline, index, state, message, snapshot);
                    if !broken.goes_on() {
                        return Ok(());
                    }
                    // The next point is broken too, even if its state is the same.
                    checked = None;
                    break;
                }
            }
        }
        // The process can also die after its last call, before it returns success.
        let last = baseline.volatile.apply(calls.len(), journal.live());
        progress.reach(calls.len());
        let circumstances = (crash(calls.len()), last);
        if checked.as_ref() == Some(&circumstances) {
            return Ok(());
        }
        let (crash, last) = circumstances;
        explorer.write(&last)?;
        if let Err(message) = checker.check(crash) {
            let state = ExploredState::DiedBeforeReturn;
            broken.add(baseline, calls.len(), state, message, &last);
        }
        Ok(())
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
        let deaths = (points.len() / POINTS_PER_DEATH).clamp(*DEATHS.start(), *DEATHS.end());
        for index in points.sample(rng, deaths) {
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
