//! Plain data that the layers of the harness exchange. Data that users of the harness read, such as
//! records, is in `clarity-chaos-record`.

pub(crate) mod case;
pub(crate) mod closed_timeline;
pub(crate) mod confinement;
pub(crate) mod duration;
pub(crate) mod exit_status;
pub(crate) mod fault_selection;
pub(crate) mod process_report;
pub(crate) mod service;
