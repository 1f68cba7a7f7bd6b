//! Reads request bodies.

use std::error::Error;
use std::io;
use std::ops::Deref;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::App;
use super::budget::Reservation;
use super::coding::ContentCoding;
use super::decoder::Decoder;
use crate::Reason;
use crate::predictor::Failure;

/// A received body, with the reservation for its memory.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    bytes: Vec<u8>,
    _memory: Reservation,
}

impl Deref for ReceivedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body, and decompresses it if it has a coding. Limits the size of the body before and
/// after decompression, the time to read it, and the memory of all requests.
///
/// Checks a declared length before the first read, and reserves memory for it. Allocates memory
/// only as bytes arrive.
pub(super) async fn read_body<B>(
    app: &App,
    coding: Option<ContentCoding>,
    body: B,
) -> Result<ReceivedBody, Failure>
where
    B: HttpBody<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let announced = body.size_hint().lower();
    let size = usize::try_from(announced).unwrap_or(usize::MAX);
    if size > app.body_limit {
        return Err(too_large(app));
    }
    let collected = match coding {
        None => {
            let memory = app.budget.reserve(size, "the body")?;
            timeout(app.deadline, collect(app, body, memory)).await
        }
        Some(coding) => {
            let memory = app.budget.reserve(0, "the body")?;
            let decoder = Decoder::new(coding, app.body_limit, memory)?;
            timeout(app.deadline, decompress(app, body, decoder)).await
        }
    };
    collected.unwrap_or_else(|_| {
        Err(Failure::new(
            Reason::RequestTimeout,
            format!("the body did not arrive within {:?}", app.deadline),
        ))
    })
}

async fn collect<B>(
    app: &App,
    mut body: B,
    mut memory: Reservation,
) -> Result<ReceivedBody, Failure>
where
    B: HttpBody<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        // Skips trailers, which have no meaning in this protocol.
        let Ok(data) = frame.map_err(|error| read_error(&error))?.into_data() else {
            continue;
        };
        let size = bytes.len() + data.len();
        if size > app.body_limit {
            return Err(too_large(app));
        }
        memory.grow_to(size, "the body")?;
        bytes.extend_from_slice(&data);
    }
    Ok(ReceivedBody {
        bytes,
        _memory: memory,
    })
}

async fn decompress<B>(
    app: &App,
    mut body: B,
    mut decoder: Decoder,
) -> Result<ReceivedBody, Failure>
where
    B: HttpBody<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| read_error(&error))?.into_data() else {
            continue;
        };
        received += data.len();
        if received > app.body_limit {
            return Err(too_large(app));
        }
        let mut rest = &data[..];
        while !rest.is_empty() {
            let count = decoder.write(rest)?;
            rest = &rest[count..];
            // A few bytes can become megabytes, so other requests get a turn in between.
            yield_now().await;
        }
    }
    let (bytes, memory) = decoder.finish()?;
    Ok(ReceivedBody {
        bytes,
        _memory: memory,
    })
}

fn too_large(app: &App) -> Failure {
    Failure::new(
        Reason::PayloadTooLarge,
        format!("expected a body of at most {} bytes", app.body_limit),
    )
}

/// Classifies a read error. Malformed chunks make the request invalid; every other error counts as
/// a disconnect.
fn read_error(error: &(dyn Error + 'static)) -> Failure {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let malformed = causes.any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            )
        })
    });
    if malformed {
        Failure::new(
            Reason::InvalidRequest,
            format!("cannot read the body: {error}"),
        )
    } else {
        Failure::new(
            Reason::Cancelled,
            format!("the client disconnected before the end of the body: {error}"),
        )
    }
}
