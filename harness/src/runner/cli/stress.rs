//! The option `--stress`: a sweep by a number of runs, or by a duration.

use super::seeds::SeedsChoice;
use super::values::positive_duration;

/// The option, as on the command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct StressOption {
    /// Sweep by a number of seeds or by time: run every selected test N times, each with another
    /// seed, as --seeds N; or start new seeds until DURATION is over, then finish the last one
    #[arg(
        long = "stress",
        value_name = "N|DURATION",
        env = "CHAOS_STRESS",
        value_parser = parse,
        help_heading = "Sweeps"
    )]
    pub(crate) stress: Option<SeedsChoice>,
}

fn parse(text: &str) -> Result<SeedsChoice, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("expected at least 1 run, found 0".to_owned()),
        Ok(count) => Ok(SeedsChoice::Count(count)),
        Err(_) => positive_duration(text)
            .map(SeedsChoice::Within)
            .map_err(|error| {
                format!(
                    "expected a number of runs such as 1000, or a duration such as 10m: {error}"
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn parse_takes_numbers_and_durations() {
        assert_eq!(parse("1000"), Ok(SeedsChoice::Count(1000)));
        let minutes = SeedsChoice::Within(Duration::from_secs(90));
        assert_eq!(parse("1m 30s"), Ok(minutes));
        for wrong in [
            "",
            "0",
            "0s",
            "-1",
            "1..3",
            "10 apples",
            "99999999999999999999",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
