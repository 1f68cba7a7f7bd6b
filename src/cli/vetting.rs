//! Where and within which limits versions are tried before they are used.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clarity::{OnnxRuntime, VerifiedVersion, Vetting, VettingLimits, try_version};

use super::CommandResult;
use super::duration::parse_duration;

/// The hidden command that vets one version for another process.
pub(super) const COMMAND: &str = "vet";

#[derive(Args, Debug)]
pub(super) struct VettingArgs {
    /// Where a version is loaded and run once before it is used
    #[arg(long = "vetting", value_name = "WHERE", default_value = "child")]
    mode: VettingMode,
    /// The address space of that child in bytes, three times the size of the version's files not counted
    #[arg(long = "vetting-memory", value_name = "BYTES", default_value_t = VettingLimits::default().address_space)]
    memory: u64,
    /// CPU time of that child, in whole seconds
    #[arg(long = "vetting-cpu", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    cpu: Duration,
    /// How long that child may take altogether
    #[arg(long = "vetting-time", value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    time: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VettingMode {
    /// In a short-lived process with limits, where a hostile model can do no harm
    Child,
    /// In the process itself only: for models that are trusted
    InProcess,
}

impl VettingArgs {
    pub(super) fn vetting(&self) -> Result<Vetting, Box<dyn std::error::Error>> {
        let limits = VettingLimits {
            address_space: self.memory,
            cpu: self.cpu,
            time: self.time,
        };
        limits.check()?;
        Ok(match self.mode {
            VettingMode::Child => Vetting::child(this_program()?, &[COMMAND], limits),
            VettingMode::InProcess => Vetting::in_process(),
        })
    }

    /// Tries a version as a server would before it serves it.
    pub(super) fn try_out(
        &self,
        version: VerifiedVersion,
    ) -> Result<(), Box<dyn std::error::Error>> {
        match self.mode {
            VettingMode::Child => self.vetting()?.vet(&version)?,
            VettingMode::InProcess => drop(try_version(&OnnxRuntime::new(), version)?),
        }
        Ok(())
    }
}

/// On Linux the very file that runs, also after another was put in its place: a server that is upgraded on disk must not
/// have its models judged by the next release.
fn this_program() -> std::io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}

/// The child's side: a version on standard input, what came of it on standard output.
pub(super) fn vet() -> CommandResult {
    let one = std::num::NonZeroUsize::MIN;
    let runtime = OnnxRuntime::new().threads(one);
    Vetting::answer(&runtime, std::io::stdin().lock(), std::io::stdout())?;
    Ok(true)
}
