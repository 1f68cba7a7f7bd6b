//! Compares the answers of two runtimes to the same inputs.

mod difference;
mod drawn_input;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use self::difference::{Difference, difference};
use self::drawn_input::InputSource;
use super::claims::random_nodes;
use super::{Runtime, load};
use crate::panics::catch;
use crate::sanitize::sanitize_for_log;
use crate::{
    Disagreement, Probe, RuntimeId, SecondOpinion, Session, Tensor, TensorSpec, VerifiedVersion,
};

/// The number of drawn inputs.
const DRAWN: usize = 8;

/// The sizes of dynamic dimensions. A size that the first runtime refuses is replaced by the next.
const SIZES: [usize; 4] = [1, 16, 128, 1024];

/// A version that one runtime has loaded and tried.
pub(super) struct FirstOpinion<'a> {
    pub(super) runtime: &'a RuntimeId,
    pub(super) session: &'a dyn Session,
    pub(super) probe: Option<&'a Probe>,
}

/// Loads a version with a second runtime. Compares its answers to the probe and to drawn inputs
/// with those of the first runtime. No run on a drawn input begins later than `limit` after the
/// first one.
///
/// An input that either runtime refuses is not compared. Panics and errors of a run are refusals.
pub(super) fn compare(
    first: &FirstOpinion<'_>,
    second: &dyn Runtime,
    version: VerifiedVersion,
    limit: Duration,
    on_step: &dyn Fn(&str),
) -> SecondOpinion {
    let manifest = version.manifest();
    let entry = version.files().get(manifest.entry());
    let random = entry.and_then(|model| random_nodes(model).ok());
    if let Some(node) = random.unwrap_or_default().into_iter().next() {
        return SecondOpinion::Random {
            operator: sanitize_for_log(node.operator),
        };
    }
    let (runtime, digest) = (second.id(), manifest.digest());
    on_step("the load for the second opinion");
    let session = match load(second, version) {
        Ok(session) => session,
        Err(error) => {
            return SecondOpinion::Single {
                runtime,
                why: sanitize_for_log(error),
            };
        }
    };
    let mut pair = match SessionPair::new(first.session, &*session) {
        Ok(pair) => pair,
        Err(difference) => return disagreed(first, runtime, difference),
    };
    match pair.run(first, digest, limit, on_step) {
        Err(difference) => disagreed(first, runtime, difference),
        Ok(()) => pair.opinion(runtime),
    }
}

fn disagreed(
    first: &FirstOpinion<'_>,
    runtime: RuntimeId,
    difference: Box<Disagreement>,
) -> SecondOpinion {
    SecondOpinion::Disagreed {
        first: first.runtime.clone(),
        runtime,
        difference,
    }
}

/// Two sessions of the same version, and the result of their comparison so far.
struct SessionPair<'a> {
    first: &'a dyn Session,
    second: &'a dyn Session,
    /// The position of each input of the second session among those of the first one.
    inputs: Vec<usize>,
    /// The position of each output of the first session among those of the second one.
    outputs: Vec<usize>,
    tried: usize,
    compared: usize,
    /// The first error of each runtime.
    refusals: [Option<String>; 2],
}

/// The result of one input.
enum Compared {
    Same,
    RefusedByFirst,
    RefusedBySecond,
}

impl<'a> SessionPair<'a> {
    fn new(first: &'a dyn Session, second: &'a dyn Session) -> Result<Self, Box<Disagreement>> {
        let places = |role, ours: &[TensorSpec], others: &[TensorSpec]| {
            let numbered = others.iter().enumerate();
            let by_name: BTreeMap<&str, _> = numbered
                .map(|(at, spec)| (&*spec.name, (at, spec.datatype)))
                .collect();
            let places = ours.iter().map(|spec| {
                let found = by_name.get(&*spec.name);
                found
                    .filter(|(_, datatype)| *datatype == spec.datatype)
                    .map(|(at, _)| *at)
            });
            let places: Option<Vec<usize>> = places.collect();
            places
                .filter(|places| places.len() == others.len())
                .ok_or_else(|| {
                    Box::new(Disagreement {
                        input: format!("the declared {role}"),
                        output: String::new(),
                        position: None,
                        first: declared(ours),
                        second: declared(others),
                    })
                })
        };
        // The second list is looked up in the first one, and named second in the error.
        let swapped = |error: Box<Disagreement>| {
            let Disagreement { first, second, .. } = *error.clone();
            Box::new(Disagreement {
                first: second,
                second: first,
                ..*error
            })
        };
        Ok(Self {
            inputs: places("inputs", second.inputs(), first.inputs()).map_err(swapped)?,
            outputs: places("outputs", first.outputs(), second.outputs())?,
            first,
            second,
            tried: 0,
            compared: 0,
            refusals: [None, None],
        })
    }

    /// Runs both sessions on the probe and on drawn inputs.
    fn run(
        &mut self,
        first: &FirstOpinion<'_>,
        digest: crate::Digest,
        limit: Duration,
        on_step: &dyn Fn(&str),
    ) -> Result<(), Box<Disagreement>> {
        let mut source = InputSource::new(self.first.inputs(), digest);
        if let Some(inputs) = first
            .probe
            .and_then(|probe| probe.inputs_of(self.first).ok())
        {
            on_step("the probe for the second opinion");
            source = source.with_shapes_of(&inputs);
            self.compare("the probe", inputs)?;
        }
        let start = Instant::now();
        let (mut size, mut batch) = (0, 1);
        for number in 0..DRAWN {
            loop {
                if self.tried > 0 && start.elapsed() >= limit {
                    return Ok(());
                }
                // Sizes next to the usual ones find errors that even sizes hide.
                let more = number % 2;
                let Some(inputs) = source.draw(number, SIZES[size] + more, batch) else {
                    break;
                };
                let name = format!("drawn input {}", number + 1);
                on_step(&format!("{name}, size {}", SIZES[size] + more));
                match self.compare(&name, inputs)? {
                    // Only a size that was never right is replaced.
                    Compared::RefusedByFirst if size + 1 < SIZES.len() && self.compared == 0 => {
                        self.tried -= 1;
                        size += 1;
                    }
                    _ => break,
                }
            }
            batch = 1 + (number + 1) % 3;
        }
        Ok(())
    }

    /// Runs both sessions on one input, and compares their answers.
    fn compare(&mut self, name: &str, inputs: Vec<Tensor>) -> Result<Compared, Box<Disagreement>> {
        self.tried += 1;
        let for_second = self.inputs.iter().map(|&at| inputs[at].clone()).collect();
        let first = match answer(self.first, inputs) {
            Ok(outputs) => outputs,
            Err(why) => {
                self.refusals[0].get_or_insert(why);
                return Ok(Compared::RefusedByFirst);
            }
        };
        let second = match answer(self.second, for_second) {
            Ok(outputs) => outputs,
            Err(why) => {
                self.refusals[1].get_or_insert(why);
                return Ok(Compared::RefusedBySecond);
            }
        };
        let disagreement = |output: &str, difference: Difference| {
            Box::new(Disagreement {
                input: name.to_owned(),
                output: sanitize_for_log(output),
                position: difference.position,
                first: difference.first,
                second: difference.second,
            })
        };
        let specs = self.first.outputs();
        if first.len() != specs.len() || second.len() != specs.len() {
            let [first, second] =
                [first, second].map(|outputs| format!("{} outputs", outputs.len()));
            let position = None;
            return Err(disagreement(
                "",
                Difference {
                    position,
                    first,
                    second,
                },
            ));
        }
        for ((spec, first), &at) in specs.iter().zip(&first).zip(&self.outputs) {
            if let Some(difference) = difference(first, &second[at]) {
                return Err(disagreement(&spec.name, difference));
            }
        }
        self.compared += 1;
        Ok(Compared::Same)
    }

    /// The opinion after all answers were the same.
    fn opinion(self, runtime: RuntimeId) -> SecondOpinion {
        let tried = self.tried;
        let [by_first, by_second] = self.refusals;
        match (self.compared, by_second) {
            (0, Some(why)) => SecondOpinion::Single {
                runtime,
                why: format!("it refused each of {tried} input(s): {why}"),
            },
            (0, None) => SecondOpinion::Uncompared {
                runtime,
                why: format!(
                    "the model refused each of {tried} input(s): {}",
                    by_first.unwrap_or_default()
                ),
            },
            (compared, _) => SecondOpinion::Agreed {
                runtime,
                compared,
                tried,
            },
        }
    }
}

/// Runs a session. Does not check that the outputs are finite: that is a part of the comparison.
fn answer(session: &dyn Session, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, String> {
    let outcome = catch(|| session.run(inputs));
    let outcome = outcome.map_err(|panic| format!("it panicked: {panic}"));
    let outcome = outcome.and_then(|outcome| outcome.map_err(|error| error.to_string()));
    outcome.map_err(sanitize_for_log)
}

fn declared(specs: &[TensorSpec]) -> String {
    let specs = specs
        .iter()
        .map(|spec| format!("{} {}", spec.name, spec.datatype));
    sanitize_for_log(specs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
