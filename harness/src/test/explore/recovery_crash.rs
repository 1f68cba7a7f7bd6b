//! The second crash of a state: one during the recovery.

use super::operation_call::OperationCall;
use std::fmt;

/// A crash while the invariant recovered from a first crash.
///
/// The calls are those of the invariant in the directory, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryCrash {
    /// The call at which the process died, or before which the power failed; none if that was after
    /// the last call.
    pub next: Option<OperationCall>,
    /// The number of bytes that the call had written; none if the call was not executed.
    pub written: Option<usize>,
    /// If the power failed, the calls whose changes are missing from the disk, completely or in
    /// part. Calls of the operation are among them if its process had died at first.
    pub lost: Option<Vec<OperationCall>>,
}

impl fmt::Display for RecoveryCrash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = "after the last call of the recovery";
        match (&self.lost, &self.next, self.written) {
            (None, Some(call), None) => {
                write!(f, "then the recovery died in the place of its {call}")
            }
            (None, Some(call), Some(written)) => write!(
                f,
                "then the recovery died inside its {call}, with {written} bytes written"
            ),
            (None, None, _) => write!(f, "then the process died {end}"),
            (Some(lost), next, _) => {
                f.write_str("then the power failed ")?;
                match next {
                    Some(call) => write!(f, "during the recovery, before its {call}")?,
                    None => f.write_str(end)?,
                }
                let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
                match lost.as_slice() {
                    [] => f.write_str(", with all that was done on the disk"),
                    lost => write!(f, ", with this not on the disk: {}", lost.join("; ")),
                }
            }
        }
    }
}
