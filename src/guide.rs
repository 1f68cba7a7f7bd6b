//! The guide for operators: requests and answers, versions of models, operation, signatures,
//! and limits.

#[doc = include_str!("../docs/requests.md")]
pub mod requests {}

#[doc = include_str!("../docs/versions.md")]
pub mod versions {}

#[doc = include_str!("../docs/operation.md")]
pub mod operation {}

#[doc = include_str!("../docs/signatures.md")]
pub mod signatures {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}
