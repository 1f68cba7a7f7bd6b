//! Faults: damage that a test does on purpose, and undoes.
//!
//! A [`Fault`] is a *kind* of damage. A fault can have open parameters, such as the byte and the
//! bit of a [`BitFlip`]. At the injection, the open parameters are drawn from the test's seed. The
//! drawn fault is a row of the test's *fault plan*. The timeline shows the row, a replay repeats
//! the row, and the minimiser removes or simplifies the row. A new kind of fault is one small type
//! that draws a plan and applies the plan. The page of [`Fault`] has a complete example.
//!
//! [`Context::inject`](crate::Context::inject) returns a [`FaultGuard`], which undoes the fault
//! when the guard is dropped.
//!
//! The constructor `new` of a fault takes the target and the required values. Other methods of the
//! fault narrow the ranges from which values are drawn.

mod bit_flip;
#[cfg(all(test, target_os = "linux"))]
mod deaths;
mod delete;
mod descriptors;
mod displace;
mod error;
mod extend;
mod flip_while_read;
mod garbage;
mod guard;
mod in_place_edit;
mod injection;
mod limit;
mod log;
mod memory;
mod move_aside;
mod network;
mod permissions;
mod process;
mod processor;
mod replace;
mod system_call;
mod torn;
mod truncate;
mod undo;
mod wall_clock;
mod zeros;

pub use crate::journal::{
    FileIdentity, SavedContent, UndoAction, UndoCondition, UndoError, UndoStep,
};
pub use bit_flip::{BitFlip, BitFlipPlan};
pub use delete::{Delete, DeletePlan};
pub use descriptors::{Descriptors, DescriptorsPlan};
pub use displace::{Displace, DisplacePlan};
pub use error::{FaultError, InjectError};
pub use extend::{Extend, ExtendPlan};
pub use flip_while_read::{FlipWhileRead, FlipWhileReadPlan};
pub use garbage::{Garbage, GarbagePlan};
pub use guard::FaultGuard;
pub use injection::Injection;
pub(crate) use log::FaultLog;
pub use memory::{Memory, MemoryPlan};
pub use network::{
    Bandwidth, BandwidthPlan, Blackhole, BlackholePlan, ConnectionCut, ConnectionCutPlan,
    ConnectionHang, ConnectionHangPlan, ConnectionRefused, ConnectionRefusedPlan, ConnectionReset,
    ConnectionResetPlan, Corruption, CorruptionPlan, DnsFailure, DnsFailurePlan, DnsLatency,
    DnsLatencyPlan, DnsSpoof, DnsSpoofPlan, HttpSelection, HttpSlowHead, HttpSlowHeadPlan,
    HttpStatus, HttpStatusPlan, HttpTruncatedBody, HttpTruncatedBodyPlan, Latency, LatencyPlan,
    PacketDuplication, PacketDuplicationPlan, PacketLoss, PacketLossPlan, PacketReordering,
    PacketReorderingPlan, Partition, PartitionPlan,
};
pub use permissions::{Permissions, PermissionsPlan};
pub use process::{Kill, KillPlan, Pause, PausePlan};
pub use processor::{Processor, ProcessorPlan};
pub use replace::{Replace, ReplacePlan};
pub use system_call::{CallEffect, CallKind, SystemCall, SystemCallPlan};
pub use torn::{TornWrite, TornWritePlan};
pub use truncate::{Truncate, TruncatePlan};
pub use undo::Undo;
pub use wall_clock::{WallClock, WallClockPlan};
pub use zeros::{Zeros, ZerosPlan};

pub use clarity_chaos_record::{PlannedFault, UndoOutcome};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of damage.
///
/// The injection of a fault has two steps. [`draw`](Self::draw) decides every open parameter, and
/// [`apply`](Self::apply) does the damage with exactly these parameters. A recorded plan can
/// replace the draw. Neither step may inject another fault, since the faults of a test are injected
/// one at a time.
///
/// # A fault of your own
///
/// Implement this trait. The harness's own faults use only this trait. Before your `apply` damages
/// anything, it must record the [`UndoStep`]s that undo the damage. If a test that runs outside of
/// the sandbox is killed, the runner runs the recorded steps.
///
/// ```
/// use clarity_chaos::fault::{Fault, FaultError, Injection, Undo, UndoStep};
/// use clarity_chaos::rand::RngExt as _;
/// use clarity_chaos::rand_chacha::ChaCha8Rng;
/// use clarity_chaos::{Context, Result, chaos};
/// use serde::{Deserialize, Serialize};
/// use std::fs;
/// use std::path::PathBuf;
///
/// /// Two lines of a text file change places: an editor or a merge got them wrong.
/// struct SwapLines {
///     path: PathBuf,
/// }
///
/// /// The lines that change places, from 0. This is the row of the plan.
/// #[derive(Serialize, Deserialize)]
/// struct SwapLinesPlan {
///     first: usize,
///     second: usize,
/// }
///
/// impl SwapLines {
///     fn new(path: impl Into<PathBuf>) -> Self {
///         Self { path: path.into() }
///     }
/// }
///
/// impl Fault for SwapLines {
///     type Plan = SwapLinesPlan;
///     const KIND: &'static str = "swap_lines";
///
///     fn describe(plan: &SwapLinesPlan, target: &str) -> String {
///         format!("lines {} and {} of {target} swapped", plan.first, plan.second)
///     }
///
///     fn target(&self) -> String {
///         self.path.display().to_string()
///     }
///
///     fn draw(&self, rng: &mut ChaCha8Rng) -> Result<SwapLinesPlan, FaultError> {
///         let count = fs::read_to_string(&self.path)?.lines().count();
///         if count < 2 {
///             return Err(FaultError::unfit("two lines", format!("{count}")));
///         }
///         let first = rng.random_range(0..count - 1);
///         let second = rng.random_range(first + 1..count);
///         Ok(SwapLinesPlan { first, second })
///     }
///
///     fn apply(&self, plan: &SwapLinesPlan, injection: &Injection) -> Result<Undo, FaultError> {
///         let text = fs::read_to_string(&self.path)?;
///         let mut lines: Vec<&str> = text.lines().collect();
///         if plan.first.max(plan.second) >= lines.len() {
///             return Err(FaultError::unfit("a longer file", format!("{} lines", lines.len())));
///         }
///         lines.swap(plan.first, plan.second);
///         // First the way back, then the damage.
///         injection.record(UndoStep::restore(&self.path)?)?;
///         fs::write(&self.path, lines.join("\n") + "\n")?;
///         // If the code under test writes to the file from now on, its content stays.
///         injection.expect_unchanged(&self.path)?;
///         Ok(Undo::steps())
///     }
/// }
///
/// /// Settings are read in the order of the file.
/// #[chaos(non_destructive)]
/// fn order_matters(cx: Context) -> Result {
///     let path = cx.dir().join("settings");
///     fs::write(&path, "a\nb\nc\n")?;
///     let swapped = cx.inject(SwapLines::new(&path))?;
///     assert!(swapped.plan().first < swapped.plan().second);
///     assert_ne!(fs::read(&path)?, b"a\nb\nc\n");
///     swapped.undo();
///     assert_eq!(fs::read(&path)?, b"a\nb\nc\n");
///     Ok(())
/// }
/// ```
///
/// The minimiser simplifies the numbers of a plan one by one, towards 0. So let smaller numbers
/// mean a smaller fault. Damage that no [`UndoStep`] can undo needs an [undo
/// handler](crate::undo_handler). Damage that ends with the test's process needs no step. For such
/// damage, call [`Undo::new`] with a closure that undoes the damage.
pub trait Fault {
    /// All decided parameters of the fault. With the plan alone, the fault can be applied again. A
    /// conversion to JSON and back must not change the plan.
    type Plan: Serialize + DeserializeOwned;

    /// The name of this kind of fault in plans, such as `bit_flip`. Draws depend on the name, so a
    /// new name leads to other draws.
    const KIND: &'static str;

    /// Describes the damage as part of a sentence: `bit 3 of byte 118 of model.onnx flipped`.
    /// `target` is the target's name in the plan.
    fn describe(plan: &Self::Plan, target: &str) -> String {
        let plan = serde_json::to_value(plan).unwrap_or_default();
        PlannedFault::summarize(Self::KIND, target, &plan)
    }

    /// The target's name in the plan, such as a file's path or a peer's address. Draws depend on
    /// this name.
    fn target(&self) -> String;

    /// Decides every open parameter: inspects the target, and draws from `rng`.
    ///
    /// # Errors
    ///
    /// When the target is missing, or does not suit the fault ([`FaultError::unfit`]). Also when
    /// this system does not support the fault ([`FaultError::Unavailable`]).
    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Self::Plan, FaultError>;

    /// Does the damage that `plan` describes, and returns the way to undo the damage. Records each
    /// undo step in `injection` before the damage that the step undoes.
    ///
    /// # Errors
    ///
    /// When the damage cannot be done. The recorded steps then run, and undo the part of the damage
    /// that was already done.
    fn apply(&self, plan: &Self::Plan, injection: &Injection) -> Result<Undo, FaultError>;
}
