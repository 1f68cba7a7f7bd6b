//! A second crash while the invariant recovers from the first one.

use super::Crash;
use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::calls_journal;
use super::checker::Checker;
use super::death_points::{choose, is_crash_point};
use super::disk_states::{DiskStates, PowerCuts};
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::Explorer;
use super::intervention::Intervention;
use super::operation_call::{OperationCall, OperationEnd};
use super::power_cuts;
use super::progress::Progress;
use super::recovery_crash::RecoveryCrash;
use super::second_crash::{Broken, Candidate, FirstCrash, key, not_explorable, run_calls};
use super::trace::{Trace, check_content};
use crate::test::random::rng;
use clarity_chaos_disk::{Journal, SECTOR_SIZE, State};
use clarity_chaos_record::Seed;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The minimum of contents that are checked for each first crash.
const MIN_SHARE: usize = 4;

/// The number of runs until the calls of several threads explain the content.
const TRIES: usize = 5;

/// Lets the process die, or the power fail, at the changing calls of the invariant.
pub(super) struct RecoveryPoints<'a> {
    explorer: &'a Explorer<'a>,
    trace: &'a Trace,
    checker: &'a Checker<'a, Crash>,
    power_cuts: Option<&'a PowerCuts>,
    rng: ChaCha8Rng,
    /// The hashes of the checked contents, each with its circumstances.
    seen: HashSet<u64>,
    /// The number of contents that may still be checked.
    left: usize,
    checked: usize,
}

impl<'a> RecoveryPoints<'a> {
    /// Checks at most about `maximum` contents.
    pub(super) fn new(
        explorer: &'a Explorer<'a>,
        trace: &'a Trace,
        checker: &'a Checker<'a, Crash>,
        power_cuts: Option<&'a PowerCuts>,
        maximum: usize,
        seed: Seed,
    ) -> Self {
        Self {
            explorer,
            trace,
            checker,
            power_cuts,
            rng: rng(seed),
            seen: HashSet::new(),
            left: maximum,
            checked: 0,
        }
    }

    /// Explores second crashes after deaths of the operation's process and after losses of power.
    /// Adds broken points to `broken`.
    pub(super) fn explore(
        mut self,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<(), ExploreError> {
        let explored = self.explore_all(progress, broken);
        progress.recoveries = self.checked;
        explored
    }

    fn explore_all(
        &mut self,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<(), ExploreError> {
        let Trace { baseline, journal } = self.trace;
        let calls = baseline.calls();
        let mut deaths: Vec<usize> = (0..calls.len())
            .filter(|index| is_crash_point(&calls[*index]))
            .collect();
        deaths.push(calls.len());
        let cuts = match self.power_cuts {
            Some(_) => power_cuts::points(baseline),
            None => Vec::new(),
        };
        let mut points = deaths.len() + cuts.len();
        let mut replay = journal.replay();
        for made in deaths {
            let share = self.share(&mut points);
            replay.advance_to(made);
            let torn = choose(&replay.torn_lengths(), &mut self.rng);
            for written in [None].into_iter().chain(torn.into_iter().map(Some)) {
                let content = match written {
                    Some(written) => replay.torn(written),
                    None => replay.snapshot(),
                };
                let content = baseline.volatile.apply(made, content);
                let first = FirstCrash {
                    content: &content,
                    crash: Crash {
                        acknowledged: false,
                        acknowledgements: baseline.acknowledgements(made),
                        power_lost: false,
                        victim: None,
                        during_recovery: true,
                    },
                    made: written.is_none().then_some(made),
                };
                progress.reach(made);
                if let Some(found) = self.recover(&first, share)? {
                    let state = match made < calls.len() {
                        true => ExploredState::ProcessDied {
                            call: broken.locate(baseline, made),
                            written,
                        },
                        false => ExploredState::DiedBeforeReturn,
                    };
                    found.add_to(broken, baseline, made, state);
                    if !broken.goes_on() {
                        return Ok(());
                    }
                    break;
                }
            }
        }
        match self.power_cuts {
            Some(settings) => self.explore_power_cuts(settings, &cuts, &mut points, broken),
            None => Ok(()),
        }
    }

    fn explore_power_cuts(
        &mut self,
        settings: &PowerCuts,
        cuts: &[(usize, bool)],
        points: &mut usize,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<(), ExploreError> {
        let trace = self.trace;
        let baseline = &trace.baseline;
        let mut states = DiskStates::new(self.explorer, settings);
        for (made, acknowledged) in cuts {
            let share = self.share(points);
            let crash = Crash {
                acknowledged: *acknowledged,
                acknowledgements: baseline.acknowledgements(*made),
                power_lost: true,
                victim: None,
                during_recovery: true,
            };
            let circumstances = (*acknowledged, crash.acknowledgements, None);
            let recovered = RefCell::new(Ok(None));
            let this = RefCell::new(&mut *self);
            let check = |state: &State| {
                let first = FirstCrash {
                    content: &state.snapshot,
                    crash,
                    made: None,
                };
                match this.borrow_mut().recover(&first, MIN_SHARE) {
                    Ok(None) => Ok(()),
                    found => {
                        *recovered.borrow_mut() = found;
                        Err(String::new())
                    }
                }
            };
            let count = share.div_ceil(MIN_SHARE);
            let mut progress = Progress::new(None, Path::new(""));
            let stopped = states.check(trace, *made, circumstances, count, &mut progress, check);
            let found = stopped?;
            if let (Some(second), Some((first, _))) = (recovered.into_inner()?, found) {
                let calls = baseline.calls().len();
                let state = ExploredState::PowerLost {
                    next: (*made < calls).then(|| broken.locate(baseline, *made)),
                    acknowledged: *acknowledged,
                    lost: broken.locate_lost(baseline, &first.missing),
                };
                second.add_to(broken, baseline, *made, state);
                if !broken.goes_on() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Gives the number of contents to check at the next point.
    fn share(&self, points: &mut usize) -> usize {
        let share = self.left / (*points).max(1);
        *points = points.saturating_sub(1);
        share.max(MIN_SHARE)
    }

    /// Runs the invariant on the content of a first crash, and follows its calls. Then checks up to
    /// `share` contents that a second crash leaves.
    fn recover(
        &mut self,
        first: &FirstCrash<'_>,
        share: usize,
    ) -> Result<Option<Broken>, ExploreError> {
        let (recovery, journal) = self.run(first)?;
        if !recovery.calls().iter().any(is_crash_point) {
            return Ok(None);
        }
        // The content before any change was checked after the first crash.
        self.seen.insert(key(first.crash, first.content));
        let mut left = share;
        let mut candidates = Candidate::of_deaths(&recovery, &journal, &mut self.rng);
        let deaths = match self.power_cuts {
            Some(_) => share.div_ceil(2),
            None => share,
        };
        if candidates.len() > deaths {
            candidates.shuffle(&mut self.rng);
            candidates.truncate(deaths);
        }
        for candidate in candidates {
            if let Some(broken) = self.check(first, &recovery, candidate, &mut left)? {
                return Ok(Some(broken));
            }
        }
        self.check_power_losses(first, &recovery, &journal, left)
    }

    /// Runs the invariant. Returns its calls, and the journal of their changes to the content.
    fn run(&self, first: &FirstCrash<'_>) -> Result<(Baseline, Journal), ExploreError> {
        let Self {
            explorer, checker, ..
        } = self;
        let mut tries = TRIES;
        loop {
            let crash = first.checked();
            let run =
                explorer.recover(first.content, checker.invariant, crash, &Intervention::None)?;
            let end = run.operation_end();
            let recovery = Baseline::new(run);
            if let Some((index, reason)) = recovery.unsupported() {
                return Err(not_explorable(reason, Some(recovery.describe(index))));
            }
            if end != OperationEnd::Succeeded {
                let reason =
                    format!("the invariant holds only while its calls are not followed: {end}");
                return Err(not_explorable(&reason, None));
            }
            let calls = run_calls(&recovery, recovery.calls().len());
            let journal = calls_journal::journal(first.content, [calls], &BTreeMap::new());
            let journal = journal.map_err(|(index, reason)| {
                not_explorable(reason, Some(recovery.describe(index)))
            })?;
            tries -= 1;
            match check_content(&journal, &recovery, explorer, "check by the invariant") {
                // The kernel can execute calls of two threads in another order than they came.
                Err(ExploreError::NotExplorable(_)) if tries > 0 && !recovery.is_sequential() => {}
                checked => return checked.map(|()| (recovery, journal)),
            }
        }
    }

    /// Checks up to `left` contents that losses of power during the recovery leave. Nothing that
    /// the operation has not synced is surely on the disk, if its process has only died.
    fn check_power_losses(
        &mut self,
        first: &FirstCrash<'_>,
        recovery: &Baseline,
        journal: &Journal,
        mut left: usize,
    ) -> Result<Option<Broken>, ExploreError> {
        let Some(model) = self.power_cuts.map(|cuts| cuts.power_loss) else {
            return Ok(None);
        };
        let earlier = match (first.crash.power_lost, first.made) {
            (true, _) => &[][..],
            (false, Some(made)) => &self.trace.baseline.calls()[..made],
            // Part of a write is there.
            (false, None) => return Ok(None),
        };
        let combined;
        let journal = match earlier {
            [] => journal,
            _ => {
                let before = &self.explorer.before.snapshot;
                let runs = [
                    run_calls(&self.trace.baseline, earlier.len()),
                    run_calls(recovery, recovery.calls().len()),
                ];
                let made = calls_journal::journal(before, runs, &BTreeMap::new());
                combined = made.map_err(|(_, reason)| not_explorable(reason, None))?;
                &combined
            }
        };
        let (operation, volatile) = (&self.trace.baseline, &self.explorer.volatile);
        let mut rng = self.rng.clone();
        let mut points: Vec<usize> = power_cuts::points(recovery)
            .into_iter()
            .map(|(made, _)| made)
            .collect();
        points.dedup();
        points.shuffle(&mut self.rng);
        for (number, made) in points.iter().copied().enumerate() {
            let mut at_point = left.div_ceil(points.len() - number);
            let calls = earlier.len() + made;
            let found: Result<_, ExploreError> =
                journal.with_states(calls, model, SECTOR_SIZE, |states| {
                    let representatives = states.representatives();
                    for choice in representatives.iter().take(at_point * MIN_SHARE) {
                        let State { snapshot, missing } = states.state(&choice);
                        let observed = match earlier {
                            [] => snapshot.clone(),
                            _ => operation.volatile.apply(earlier.len(), snapshot.clone()),
                        };
                        let observed = recovery.volatile.apply(made, observed);
                        for content in volatile.states(snapshot, observed, &mut rng) {
                            let before = at_point;
                            let candidate = Candidate::of_power_loss(content, made, &missing);
                            let found = self.check(first, recovery, candidate, &mut at_point)?;
                            left -= before - at_point;
                            if found.is_some() {
                                return Ok(found);
                            }
                        }
                    }
                    Ok(None)
                });
            if let Some(broken) = found? {
                return Ok(Some(broken));
            }
        }
        Ok(None)
    }

    /// Checks one content, unless it was checked already or `left` is 0.
    fn check(
        &mut self,
        first: &FirstCrash<'_>,
        recovery: &Baseline,
        candidate: Candidate,
        left: &mut usize,
    ) -> Result<Option<Broken>, ExploreError> {
        // Any crash loses what the power takes.
        let crash = Crash {
            power_lost: first.crash.power_lost || candidate.lost.is_some(),
            ..first.crash
        };
        if *left == 0 || !self.seen.insert(key(crash, &candidate.content)) {
            return Ok(None);
        }
        *left -= 1;
        self.left = self.left.saturating_sub(1);
        self.checked += 1;
        self.explorer.write(&candidate.content)?;
        let Err(message) = self.checker.check(crash) else {
            return Ok(None);
        };
        let earlier = first.made.unwrap_or_default();
        let describe = |index: usize| match index.checked_sub(earlier) {
            Some(index) => recovery.describe(index),
            None => self.trace.baseline.describe(index),
        };
        let is_after = candidate.made == recovery.calls().len();
        let recovery = RecoveryCrash {
            next: (!is_after).then(|| self.locate(first, recovery, candidate.made)),
            written: candidate.written,
            lost: candidate
                .lost
                .map(|lost| lost.into_iter().map(describe).collect()),
        };
        Ok(Some(Broken {
            recovery,
            message,
            content: candidate.content,
        }))
    }

    fn locate(&self, first: &FirstCrash<'_>, recovery: &Baseline, index: usize) -> OperationCall {
        let crash = first.checked();
        let content = first.content;
        let run = Explorer::intervene_in(recovery, index, content, |point| {
            let intervention = Intervention::Locate(point);
            self.explorer
                .recover(content, self.checker.invariant, crash, &intervention)
        });
        Explorer::located(run, recovery, index)
    }
}
