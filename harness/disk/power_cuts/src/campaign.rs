//! All programs on one file system.

use crate::admissible::{Admissible, History};
use crate::error::{Error, Result};
use crate::file_system::FileSystem;
use crate::options::Options;
use crate::programs::{self, Program};
use crate::shown;
use crate::trial::{Bench, Observation};
use clarity_chaos_disk::{PowerLoss, Snapshot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The number of violations that are shown in full.
const SHOWN: usize = 5;

#[derive(Debug)]
pub(crate) struct Campaign<'a> {
    file_system: FileSystem,
    options: &'a Options,
    programs: usize,
    drawn_again: usize,
    cuts: usize,
    distinct: usize,
    unreadable: usize,
    /// The number of states outside of each model.
    outside: Vec<(PowerLoss, usize)>,
    violations: usize,
}

impl<'a> Campaign<'a> {
    pub(crate) fn new(file_system: FileSystem, options: &'a Options) -> Self {
        let models = file_system.models().iter();
        Self {
            file_system,
            options,
            programs: 0,
            drawn_again: 0,
            cuts: 0,
            distinct: 0,
            unreadable: 0,
            outside: models.map(|model| (*model, 0)).collect(),
            violations: 0,
        }
    }

    /// Runs the programs, and prints a summary. Returns whether each state was one of the models.
    pub(crate) fn run(mut self, interrupted: &Arc<AtomicBool>) -> Result<bool> {
        let started = Instant::now();
        let scratch = tempfile::Builder::new().prefix("power_cuts").tempdir();
        let scratch = scratch.map_err(Error::at("create a directory in", Path::new("/tmp")))?;
        let bench = Bench::new(self.file_system, scratch.path(), Arc::clone(interrupted))?;
        let wanted = self.options.programs;
        let wanted = wanted.unwrap_or(self.file_system.default_programs());
        let mut seed = self.options.seed;
        let mut reported = started;
        while self.programs < wanted {
            self.try_program(&bench, seed)?;
            seed += 1;
            if reported.elapsed() > Duration::from_secs(5) {
                reported = Instant::now();
                eprintln!("{}, of {wanted}", self.progress());
            }
        }
        drop(bench);
        println!(
            "{}; kernel {}, {} s",
            self.summary(),
            rustix::system::uname().release().to_string_lossy(),
            started.elapsed().as_secs()
        );
        Ok(self.violations == 0)
    }

    fn progress(&self) -> String {
        let (name, programs, cuts) = (self.file_system.name(), self.programs, self.cuts);
        format!("{name}: {programs} programs, {cuts} cuts")
    }

    fn summary(&self) -> String {
        let mut summary = format!(
            "{} ({} more drawn again), {} distinct states, {} not readable",
            self.progress(),
            self.drawn_again,
            self.distinct,
            self.unreadable
        );
        for (model, count) in &self.outside {
            summary += &format!(", {count} outside of {model:?}");
        }
        summary
    }

    fn try_program(&mut self, bench: &Bench, seed: u64) -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let program = Program::draw(programs::UNMAPPED, &mut rng);
        let history = History::new(&program);
        let list = |model| Admissible::list(&history, model, self.options.sector_size);
        let models = self.file_system.models().iter().copied().map(list);
        let Some(models) = models.collect::<Option<Vec<_>>>() else {
            self.drawn_again += 1;
            return Ok(());
        };
        let empty = Program {
            before: program.before.clone(),
            calls: Vec::new(),
        };
        let (before, live) = (empty.journal().live(), history.journal.live());
        let trial = bench.run(&program, &before, &live, self.options.lost, &mut rng)?;
        self.programs += 1;
        self.cuts += trial.observations.len();
        let mut distinct: HashSet<&Snapshot> = HashSet::new();
        // A state that stays outside of a model through several cuts counts once.
        let mut known: HashSet<(PowerLoss, &Snapshot)> = HashSet::new();
        let mut violations: Vec<(&Observation, String)> = Vec::new();
        for observation in &trial.observations {
            let state = match &observation.found {
                Ok(state) => state,
                Err(error) => {
                    self.unreadable += 1;
                    violations.push((observation, error.clone()));
                    continue;
                }
            };
            distinct.insert(state);
            for (number, model) in models.iter().enumerate() {
                if !model.has(state, &observation.moment.calls())
                    && known.insert((model.model(), state))
                {
                    self.outside[number].1 += 1;
                    violations.push((observation, outside(model, state, observation)));
                }
            }
        }
        self.distinct += distinct.len();
        for (observation, reason) in violations {
            self.violations += 1;
            if self.violations <= SHOWN {
                let name = self.file_system.name();
                let moment = &observation.moment;
                println!(
                    "\n{name}: {reason}  the power was cut {}; {} calls had returned, {} were made\n  \
                     files before the first call:\n{}  calls:\n{}  requests to the disk:\n    {}\n  \
                     to repeat: power_cuts --file-system {name} --seed {seed} --programs 1\n",
                    moment.cut,
                    moment.returned,
                    moment.started,
                    shown::state(&before),
                    shown::calls(&program),
                    trial.requests,
                );
            }
        }
        Ok(())
    }
}

/// Describes a state that a model does not have.
fn outside(model: &Admissible<'_>, state: &Snapshot, observation: &Observation) -> String {
    let calls = observation.moment.calls();
    let nearest = model.nearest(state, &calls, shown::difference);
    let mut text = format!(
        "a state outside of {:?}\n  files found:\n{}",
        model.model(),
        shown::state(state)
    );
    for (number, near) in nearest.iter().take(2).enumerate() {
        text += &format!("  nearest state {}:\n{}", number + 1, shown::state(near));
    }
    text
}
