//! What the scenarios share.

mod client;
mod clients;
pub(crate) mod cole_kripke;
pub(crate) mod corruptions;
mod executor;
mod repository;
mod served;

pub(crate) use client::{Answer, Client, read_answer};
pub(crate) use clients::{Clients, scale_of};
pub(crate) use repository::{MODEL, MODEL_BYTES, Repository};
pub(crate) use served::Served;
