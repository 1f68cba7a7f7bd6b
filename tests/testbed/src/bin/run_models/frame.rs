//! Requests and answers on a pipe.
//!
//! Each is the length of a JSON header (4 bytes, little-endian), the header, and the bytes that the
//! header announces. In a request, these are the bytes of the model and of each input. In an
//! answer, they are the bytes of each output. Elements are encoded as in the binary tensor
//! extension of the Open Inference Protocol.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};

/// The largest header, in bytes.
const MAX_HEADER: u32 = 1 << 24;

/// A model and the inputs of one run.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) header: RequestHeader,
    pub(crate) model: Vec<u8>,
    /// The bytes of each input, in the order of the header.
    pub(crate) inputs: Vec<Vec<u8>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RequestHeader {
    /// The number that the answer repeats.
    id: u64,
    pub(crate) runtime: RuntimeName,
    /// Whether rten refuses models outside of its claims.
    pub(crate) claims: bool,
    /// Whether rten's nodes are replaced before the load.
    pub(crate) rewrite: bool,
    /// The number of the claims' condition that is left out, if any.
    pub(crate) dropped: Option<usize>,
    /// How many more times the model runs, for measurements.
    #[serde(default)]
    pub(crate) repeats: usize,
    /// The length of the model in bytes.
    model: u64,
    pub(crate) inputs: Vec<TensorHeader>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuntimeName {
    Rten,
    OnnxRuntime,
    Auto,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TensorHeader {
    pub(crate) name: String,
    /// The datatype's name in the protocol.
    pub(crate) datatype: String,
    pub(crate) shape: Vec<usize>,
    /// The length of the elements in bytes.
    pub(crate) bytes: u64,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: AnswerHeader,
    /// The bytes of each output, in the order of the header.
    pub(crate) outputs: Vec<Vec<u8>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AnswerHeader {
    id: u64,
    pub(crate) result: Outcome,
    /// The last step that began.
    pub(crate) stage: Stage,
    /// The name of the runtime that loaded the model; empty if none did.
    pub(crate) runtime: String,
    /// The error; empty if there is none.
    pub(crate) why: String,
    /// The lines of the claims that cover the model's nodes.
    pub(crate) claims: Vec<usize>,
    /// The duration of each repeated run, in nanoseconds.
    pub(crate) durations: Vec<u64>,
    pub(crate) outputs: Vec<TensorHeader>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Answered,
    Refused,
    Failed,
    Panicked,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Claims,
    Load,
    Run,
}

impl RequestHeader {
    /// An answer to this request without outputs.
    pub(crate) fn answer(&self, result: Outcome, stage: Stage, why: String) -> Answer {
        let header = AnswerHeader {
            id: self.id,
            result,
            stage,
            runtime: String::new(),
            why,
            claims: Vec::new(),
            durations: Vec::new(),
            outputs: Vec::new(),
        };
        Answer {
            header,
            outputs: Vec::new(),
        }
    }
}

/// Reads a request; `None` at the end of the pipe.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Request>> {
    let mut first = [0];
    if from.read(&mut first)? == 0 {
        return Ok(None);
    }
    let mut rest = [0; 3];
    from.read_exact(&mut rest)?;
    let length = u32::from_le_bytes([first[0], rest[0], rest[1], rest[2]]);
    if length > MAX_HEADER {
        let why = format!("expected a header of at most {MAX_HEADER} bytes, found {length}");
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    let header = read_exactly(from, length.into())?;
    let header: RequestHeader = serde_json::from_slice(&header)?;
    let model = read_exactly(from, header.model)?;
    let inputs = header
        .inputs
        .iter()
        .map(|input| read_exactly(from, input.bytes));
    let inputs = inputs.collect::<io::Result<_>>()?;
    Ok(Some(Request {
        header,
        model,
        inputs,
    }))
}

fn read_exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match from.take(length).read_to_end(&mut bytes)? as u64 == length {
        true => Ok(bytes),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes an answer.
pub(crate) fn write(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let header = serde_json::to_vec(&answer.header)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&header)?;
    for output in &answer.outputs {
        to.write_all(output)?;
    }
    Ok(())
}
