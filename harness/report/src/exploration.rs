//! Renders the extent of an exploration.

use crate::duration::format_seconds;
use clarity_chaos_record::EventKind;
use std::fmt::Write as _;
use std::time::Duration;

/// Renders the extent of an exploration, such as `18 calls, 32 points, 46 states of the disk (all),
/// 0.80s, model journaled`. Adds a line if the invariant would break under the model `posix`.
/// Returns `None` for other events.
#[must_use]
pub fn render_exploration(event: &EventKind) -> Option<String> {
    let EventKind::Explored {
        total_calls,
        points,
        states,
        power_loss,
        all_states,
        possible_states,
        recoveries,
        took_us,
        breaks_under_posix,
        calls,
        ..
    } = event
    else {
        return None;
    };
    let mut text = format!(
        "{}, {}",
        count(*total_calls, "call"),
        count(*points, "point")
    );
    if power_loss.is_some() {
        let _ = write!(text, ", {} of the disk", count(*states, "state"));
        let is_broken = calls.iter().any(|call| call.invariant_broken);
        if *all_states && !is_broken {
            text.push_str(" (all)");
        } else if *all_states {
            // The exploration ended early.
        } else if *possible_states == u64::MAX {
            text.push_str(" (of more than 10^19)");
        } else {
            let _ = write!(text, " (of about {})", with_commas(*possible_states));
        }
    }
    if *recoveries > 0 {
        let recoveries = count(*recoveries, "state");
        let _ = write!(text, ", {recoveries} after a crash during recovery");
    }
    let took = format_seconds(Duration::from_micros(*took_us));
    let _ = write!(text, ", {took}");
    if let Some(model) = power_loss {
        let _ = write!(text, ", model {model}");
    }
    if let Some(state) = breaks_under_posix {
        let _ = write!(text, "\nwould break under posix: {state}");
    }
    Some(text)
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Formats a number with a comma before each group of three digits.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explored(all_states: bool, possible_states: u64) -> EventKind {
        EventKind::Explored {
            total_calls: 18,
            points: 1,
            states: 46,
            power_loss: Some("journaled".to_owned()),
            all_states,
            possible_states,
            recoveries: 0,
            took_us: 800_000,
            several_threads: false,
            breaks_under_posix: None,
            calls: Vec::new(),
        }
    }

    #[test]
    fn render_exploration_says_which_part_was_tried() {
        assert_eq!(
            render_exploration(&explored(true, 46)).unwrap(),
            "18 calls, 1 point, 46 states of the disk (all), 0.80s, model journaled"
        );
        let part = render_exploration(&explored(false, 1_052_000)).unwrap();
        assert!(part.contains("46 states of the disk (of about 1,052,000), "));
        let many = render_exploration(&explored(false, u64::MAX)).unwrap();
        assert!(many.contains("(of more than 10^19)"), "{many}");
        assert_eq!(render_exploration(&EventKind::Started), None);
    }

    #[test]
    fn render_exploration_counts_crashes_during_recovery() {
        let mut event = explored(true, 46);
        if let EventKind::Explored { recoveries, .. } = &mut event {
            *recoveries = 3;
        }
        assert_eq!(
            render_exploration(&event).unwrap(),
            "18 calls, 1 point, 46 states of the disk (all), 3 states after a crash during \
             recovery, 0.80s, model journaled"
        );
    }

    #[test]
    fn render_exploration_without_a_model_has_no_states() {
        let mut event = explored(true, 0);
        if let EventKind::Explored {
            power_loss,
            breaks_under_posix,
            ..
        } = &mut event
        {
            *power_loss = None;
            *breaks_under_posix = Some("rename of a to b".to_owned());
        }
        assert_eq!(
            render_exploration(&event).unwrap(),
            "18 calls, 1 point, 0.80s\nwould break under posix: rename of a to b"
        );
    }
}
