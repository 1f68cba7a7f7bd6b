//! Pages to read: a first bug in ten minutes, which fault for which question, and what to do when tests misbehave.

#[doc = include_str!("../guide/ten_minutes.md")]
pub mod ten_minutes {}

#[doc = include_str!("../guide/faults.md")]
pub mod faults {}

#[doc = include_str!("../guide/troubleshooting.md")]
pub mod troubleshooting {}
