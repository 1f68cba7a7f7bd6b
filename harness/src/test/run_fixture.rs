//! The functions that [`main!`](crate::main) gets: the set-up and the tear-down of a run.

use crate::registration::origin::Origin;
use crate::test::outcome::{BodyOutcome, IntoOutcome, with_sources};
use crate::test::panics::message_of;
use crate::test::run_setup::RunSetup;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The tear-down, with the value of the set-up. `Err` is the text of the error.
pub(crate) type Teardown = Box<dyn FnOnce() -> BodyOutcome>;

/// Not public API: the set-up and the tear-down of a run.
#[derive(Debug)]
pub struct RunFixture {
    set_up: fn(&mut RunSetup) -> Result<Teardown, String>,
}

impl RunFixture {
    /// Not public API: called by the code that the macro generates.
    #[must_use]
    pub const fn new(set_up: fn(&mut RunSetup) -> Result<Teardown, String>) -> Self {
        Self { set_up }
    }

    /// Not public API: calls the set-up. The result calls the tear-down with the set-up's value.
    ///
    /// # Errors
    ///
    /// When the set-up fails.
    pub fn call<T: 'static, E: Into<Box<dyn Error + Send + Sync>>, O: IntoOutcome>(
        run: &mut RunSetup,
        set_up: impl FnOnce(&mut RunSetup) -> Result<T, E>,
        tear_down: impl FnOnce(T) -> O + 'static,
    ) -> Result<Teardown, String> {
        match set_up(run) {
            Ok(value) => Ok(Box::new(move || tear_down(value).into_outcome())),
            Err(error) => Err(with_sources(error.into().as_ref())),
        }
    }

    /// Returns the functions of the target.
    ///
    /// # Errors
    ///
    /// When the target has none, or another version of the harness has registered them.
    pub(crate) fn of(origin: &Origin) -> Result<&'static Self, String> {
        let fixture = origin.fixture.ok_or("the target has no set-up")?;
        let functions = fixture.functions.downcast_ref();
        functions.ok_or_else(|| "another version of the harness registered the set-up".to_owned())
    }

    /// Calls the set-up. A panic is an error.
    pub(crate) fn set_up(&self, run: &mut RunSetup) -> Result<Teardown, String> {
        caught(|| (self.set_up)(run))
    }
}

/// Calls a set-up or a tear-down. Converts a panic to an error.
pub(crate) fn caught<T>(function: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(function))
        .unwrap_or_else(|payload| Err(format!("panicked: {}", message_of(&*payload))))
}
