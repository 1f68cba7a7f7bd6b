//! Trials: how a version is tried before it is served.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::choice::{Choice, choose, load_with};
use super::comparison::{FirstOpinion, compare};
use super::warm_up::warm_up;
use super::{Runtime, RuntimeError, RuntimeRefusal};
use crate::sanitize::sanitize_for_log;
use crate::{Probe, RuntimeId, SecondOpinion, SecondOpinionPolicy, Session, VerifiedVersion};

/// The result of a version's trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trial {
    /// The version gave the known answer to its [`Probe`].
    Probed,
    /// The version has no probe, and answered a generated input.
    WarmedUp,
    /// The version has no probe, and refused each generated input. Nothing is known about its
    /// answers.
    Unprobed {
        /// The first error, as a sentence.
        why: String,
    },
}

/// A version that was loaded and tried.
pub(crate) struct TriedVersion<'a> {
    pub(crate) session: Box<dyn Session>,
    pub(crate) probe: Option<Probe>,
    pub(crate) trial: Trial,
    /// The runtime that loaded the version.
    pub(crate) runtime: RuntimeId,
    /// The preferred runtimes that refused the version.
    pub(crate) passed_over: Vec<RuntimeRefusal>,
    /// The second opinion, if it is wanted and known.
    pub(crate) second_opinion: Option<SecondOpinion>,
    /// The runtime that is to give the second opinion, and the version's bytes for it.
    second: Option<(&'a dyn Runtime, VerifiedVersion)>,
}

/// The parameters of a trial.
pub(crate) struct TrialOptions<'a> {
    /// The result of an earlier trial of the same bytes in another process, if any. Generated
    /// inputs that were refused there are not tried again.
    pub(crate) before: Option<&'a Trial>,
    /// The runtime of that earlier trial, which loads the version again.
    pub(crate) runtime: Option<&'a RuntimeId>,
    /// The time after which no run on a generated input begins. The same time bounds the runs of
    /// the second opinion.
    pub(crate) warm_up: Duration,
    /// Records the model's answer as the answer of the probe, if the probe has no answer.
    pub(crate) record: bool,
    /// Whether another runtime is asked, too.
    pub(crate) second_opinion: SecondOpinionPolicy,
    /// Gets the name of each step when the step begins.
    pub(crate) on_step: &'a dyn Fn(&str),
}

impl Trial {
    pub(crate) fn unprobed(why: impl Display) -> Self {
        Self::Unprobed {
            why: sanitize_for_log(why),
        }
    }

    /// Why the version is unprobed; `None` if it is probed or warmed up.
    pub fn unprobed_detail(&self) -> Option<&str> {
        match self {
            Self::Unprobed { why } => Some(why),
            Self::Probed | Self::WarmedUp => None,
        }
    }
}

impl Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probed => "probed",
            Self::WarmedUp => "warmed up",
            Self::Unprobed { .. } => "unprobed",
        })
    }
}

impl Default for TrialOptions<'_> {
    fn default() -> Self {
        Self {
            before: None,
            runtime: None,
            warm_up: DEFAULT_WARM_UP,
            record: false,
            second_opinion: SecondOpinionPolicy::Off,
            on_step: &|_| {},
        }
    }
}

/// The default time after which no run on a generated input begins.
pub(crate) const DEFAULT_WARM_UP: Duration = Duration::from_secs(5);

/// Loads a version and tries it. Chooses the runtime, unless the options name it.
///
/// Runs the version's probe, and nothing else, if it has a probe. Otherwise runs the model on
/// generated inputs.
pub(crate) fn try_with<'a>(
    runtime: &'a dyn Runtime,
    version: VerifiedVersion,
    options: &TrialOptions<'_>,
) -> Result<TriedVersion<'a>, RuntimeError> {
    let mut probe = version.probe().map_err(RuntimeError::Probe)?;
    (options.on_step)("the load");
    let Choice {
        session,
        runtime,
        passed_over,
        next,
    } = match options.runtime {
        Some(wanted) => load_with(runtime, wanted, version)?,
        None => choose(runtime, version)?,
    };
    let wants_second = options.second_opinion != SecondOpinionPolicy::Off;
    let trial = match (&mut probe, options.before) {
        (Some(probe), _) => {
            (options.on_step)("the probe");
            if options.record && !probe.has_outputs() {
                let recorded = probe.clone().record(&*session);
                *probe = recorded.map_err(RuntimeError::Probe)?;
            }
            // A model that answers a recorded request differently would fail each probe.
            probe.run(&*session).map_err(RuntimeError::Probe)?;
            Trial::Probed
        }
        (None, Some(unprobed @ Trial::Unprobed { .. })) => unprobed.clone(),
        (None, _) => match warm_up(&*session, options.warm_up, options.on_step)? {
            None => Trial::WarmedUp,
            Some(why) => Trial::unprobed(why),
        },
    };
    Ok(TriedVersion {
        session,
        probe,
        trial,
        runtime,
        second_opinion: passed_over.last().filter(|_| wants_second).map(|refusal| {
            SecondOpinion::Single {
                runtime: refusal.runtime.clone(),
                why: refusal.why.clone(),
            }
        }),
        passed_over,
        second: next.filter(|_| wants_second),
    })
}

impl TriedVersion<'_> {
    /// The runtime that is to give the second opinion. `None` if no opinion is wanted, or if only
    /// one runtime can run the version.
    pub(crate) fn second_runtime(&self) -> Option<RuntimeId> {
        self.second.as_ref().map(|(runtime, _)| runtime.id())
    }

    /// Asks the second runtime, if there is one.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::SecondOpinion`] if the policy does not admit the version.
    pub(crate) fn with_second_opinion(
        mut self,
        options: &TrialOptions<'_>,
    ) -> Result<Self, RuntimeError> {
        if let Some((second, version)) = self.second.take() {
            let first = FirstOpinion {
                runtime: &self.runtime,
                session: &*self.session,
                probe: self.probe.as_ref(),
            };
            let opinion = compare(&first, second, version, options.warm_up, options.on_step);
            self.second_opinion = Some(opinion);
        }
        match &self.second_opinion {
            Some(opinion) if !options.second_opinion.admits(opinion) => {
                Err(RuntimeError::SecondOpinion(opinion.clone()))
            }
            _ => Ok(self),
        }
    }
}
