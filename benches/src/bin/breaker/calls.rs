//! The call that breakers guard, and series of them.

use std::hint::black_box;

/// The rate of failing calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    Never,
    /// One call of a hundred.
    OnePercent,
}

impl Failures {
    pub(crate) const ALL: [Self; 2] = [Self::Never, Self::OnePercent];

    pub(crate) fn percent(self) -> u32 {
        match self {
            Self::Never => 0,
            Self::OnePercent => 1,
        }
    }

    /// The number of successful calls before each failure.
    pub(crate) fn run(self) -> u64 {
        match self {
            Self::Never => u64::MAX,
            Self::OnePercent => 99,
        }
    }
}

/// A minimal call, which fails when `fails` is set.
#[inline(never)]
pub(crate) fn call(fails: bool) -> Result<u32, u32> {
    match black_box(fails) {
        false => Ok(1),
        true => Err(2),
    }
}

/// Decides for each call of a series whether it fails.
#[derive(Debug)]
pub(crate) struct Row {
    run: u64,
    left: u64,
}

impl Row {
    pub(crate) fn new(failures: Failures) -> Self {
        let run = failures.run();
        Self { run, left: run }
    }

    #[inline]
    pub(crate) fn next_fails(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.left = self.run;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_of_a_hundred_fails_or_none() {
        for failures in Failures::ALL {
            let mut row = Row::new(failures);
            let failed = (0..1000).filter(|_| row.next_fails()).count();
            assert_eq!(failed as u32, failures.percent() * 10);
        }
    }
}
