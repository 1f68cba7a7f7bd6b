//! The guide: a first bug in ten minutes, faults, selecting tests, profiles, reports, sweeps, the
//! sandbox, troubleshooting, and continuous integration.

#[doc = include_str!("../guide/ten_minutes.md")]
pub mod ten_minutes {}

#[doc = include_str!("../guide/faults/overview.md")]
pub mod faults {
    #[doc = include_str!("../guide/faults/files.md")]
    pub mod files {}

    #[doc = include_str!("../guide/faults/networks.md")]
    pub mod networks {}

    #[doc = include_str!("../guide/faults/processes.md")]
    pub mod processes {}

    #[doc = include_str!("../guide/faults/resources.md")]
    pub mod resources {}

    #[doc = include_str!("../guide/faults/system_calls.md")]
    pub mod system_calls {}

    #[doc = include_str!("../guide/faults/time.md")]
    pub mod time {}
}

#[doc = include_str!("../guide/fixtures.md")]
pub mod fixtures {}

#[doc = include_str!("../guide/selecting.md")]
pub mod selecting {}

#[doc = include_str!("../guide/profiles.md")]
pub mod profiles {}

#[doc = include_str!("../guide/reports.md")]
pub mod reports {}

#[doc = include_str!("../guide/sweeps.md")]
pub mod sweeps {}

#[doc = include_str!("../guide/shards.md")]
pub mod shards {}

#[doc = include_str!("../guide/explorations.md")]
pub mod explorations {}

#[doc = include_str!("../guide/sandbox.md")]
pub mod sandbox {}

#[doc = include_str!("../guide/exit_codes.md")]
pub mod exit_codes {}

#[doc = include_str!("../guide/troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("../guide/ci.md")]
pub mod ci {}

#[doc = include_str!("../guide/machine_readable.md")]
pub mod machine_readable {}

#[doc = include_str!("../guide/comparison.md")]
pub mod comparison {}
