//! Not public API: the command line, for the binary and the fuzz targets.
//!
//! `clarity serve | add | verify | list | …`

mod add;
mod breaker;
mod config_file;
mod duration;
mod import;
mod info;
mod list;
mod logs;
mod onnxruntime;
mod open_files;
mod probe;
mod progress;
mod quarantine;
mod remove;
mod rollback;
mod runtime;
mod runtimes;
mod serve;
mod sign;
mod stop_signals;
mod table;
#[cfg(feature = "onnxruntime")]
mod telemetry;
mod verify;
mod vetting;
mod workers;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::Store;

/// The result of a command. `false` is a failure that the command has already reported.
type CommandResult = Result<bool, Box<dyn std::error::Error>>;

/// The exit code for an invalid command line or configuration file. Clap uses the same code.
const USAGE: u8 = 2;

const HELP: &str = "\
Examples:
  clarity add cole_kripke model.onnx --models models   publish version 1, or the next one
  clarity probe cole_kripke request.json --models models  publish it again with a known answer
  clarity verify --models models                       read everything again and compare digests
  clarity rollback cole_kripke --models models         go back to the version before
  clarity serve --models models                        answer on http://127.0.0.1:8080
  curl -s http://127.0.0.1:8080/v2/models/cole_kripke

Exit codes:
  0  done, and all is well
  1  a version does not verify or cannot be served, or the command failed
  2  the command line or the configuration file is not understood";

/// A model server that never answers from bytes it has not verified.
#[derive(Debug, Parser)]
#[command(name = "clarity", version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Add(add::Add),
    Probe(probe::ProbeCommand),
    Verify(verify::Verify),
    Sign(sign::Sign),
    List(list::List),
    Info(info::Info),
    Rollback(rollback::Rollback),
    Quarantine(quarantine::QuarantineCommand),
    Release(quarantine::ReleaseCommand),
    Remove(remove::Remove),
    Import(import::Import),
    /// Load and run the version on standard input, on behalf of another process
    #[command(name = vetting::COMMAND, hide = true)]
    Vet(runtimes::RuntimeArgs),
    /// Run the version on standard input, on behalf of a server
    #[command(name = workers::COMMAND, hide = true)]
    Worker(runtimes::RuntimeArgs),
    Runtime(runtime::RuntimeCommand),
    /// Load a library of ONNX Runtime, on behalf of another process
    #[command(name = runtime::LOAD_COMMAND, hide = true)]
    LoadLibrary(onnxruntime::OnnxRuntimeArgs),
}

#[cfg(feature = "onnxruntime")]
impl Command {
    /// Whether the command can load ONNX Runtime into this process.
    fn needs_library(&self) -> bool {
        match self {
            Self::Serve(serve) => serve.vetting.needs_library(),
            Self::Add(add) => add.vetting.needs_library(),
            Self::Probe(probe) => probe.vetting.needs_library(),
            Self::Import(import) => import.vetting.needs_library(),
            Self::Vet(runtimes) | Self::Worker(runtimes) => runtimes.needs_library(),
            Self::LoadLibrary(_) => true,
            _ => false,
        }
    }
}

/// The directory of the models.
#[derive(Args, Debug)]
struct ModelsArg {
    /// The directory of the models: one directory per model, in it one directory per version
    #[arg(
        long = "models",
        value_name = "DIR",
        env = "CLARITY_MODELS",
        default_value = "models"
    )]
    path: PathBuf,
    /// Follow symlinks whose targets are inside of this directory, such as the links of a mounted
    /// ConfigMap or of a cache of models. `/proc/PID/root` names the files of another container.
    /// May be repeated; without this flag, no symlink below the directory of the models is followed
    #[arg(long, value_name = "PATH")]
    follow_links_under: Vec<PathBuf>,
}

impl ModelsArg {
    fn store(&self) -> io::Result<Store> {
        Store::new(&self.path).follow_links_under(&self.follow_links_under)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn follow_links_under(&self) -> &[PathBuf] {
        &self.follow_links_under
    }
}

/// Parses this process's command line, runs the command, and returns the exit code.
pub fn run() -> ExitCode {
    let command = match parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            return ExitCode::from(USAGE);
        }
    };
    #[cfg(feature = "onnxruntime")]
    if command.needs_library()
        && let Err(error) = telemetry::turn_off()
    {
        let _ = writeln!(io::stderr(), "error: {error}");
        return ExitCode::FAILURE;
    }
    let result = match command {
        Command::Serve(serve) => serve.run(),
        Command::Add(add) => add.run(),
        Command::Probe(probe) => probe.run(),
        Command::Verify(verify) => verify.run(),
        Command::Sign(sign) => sign.run(),
        Command::List(list) => list.run(),
        Command::Info(info) => info.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Quarantine(quarantine) => quarantine.run(),
        Command::Release(release) => release.run(),
        Command::Remove(remove) => remove.run(),
        Command::Import(import) => import.run(),
        Command::Vet(runtimes) => vetting::vet(&runtimes),
        Command::Worker(runtimes) => runtimes.serve_worker(),
        Command::Runtime(runtime) => runtime.run(),
        Command::LoadLibrary(library) => runtime::load_library(&library),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If this write to standard error fails too, nothing can report the error.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Parses the command line. The settings in the configuration file replace the defaults of the
/// flags of `serve`. A usage error ends this process.
fn parse() -> Result<Cli, String> {
    let matches = Cli::command().get_matches();
    let serve = matches.subcommand_matches("serve");
    let file = serve.and_then(|serve| serve.get_one::<PathBuf>("config"));
    let matches = match file {
        None => matches,
        Some(file) => with_file(file)?.get_matches(),
    };
    Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
}

/// The clap command of `clarity`. The settings in `file` are the defaults of the subcommand
/// `serve`.
pub(crate) fn with_file(file: &Path) -> Result<clap::Command, String> {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").cloned().unwrap_or_default();
    let serve = config_file::with_file(serve, file)?;
    Ok(cli.mut_subcommand("serve", |_| serve))
}

/// Writes to standard output. A closed pipe (`| head`) is not an error.
fn print(text: impl Display) -> io::Result<()> {
    match write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Box<dyn std::error::Error>> {
    Ok(print(format_args!(
        "{}\n",
        serde_json::to_string_pretty(value)?
    ))?)
}
