//! What the right answers are, computed without any model runtime.
//!
//! The score of Cole, Kripke et al. 1992 (doi:10.1093/sleep/15.5.461): a weighted sum over seven minutes, asleep below 1.

use crate::support::client::Answer;
use clarity_chaos::Result;
use clarity_chaos::rand::{Rng, RngExt as _};
use serde_json::Value;
use std::sync::LazyLock;

/// The published weights, in thousandths, for the four minutes before, the minute itself and the two after.
pub(crate) const WEIGHTS: [f32; 7] = [106.0, 54.0, 58.0, 76.0, 230.0, 74.0, 67.0];

/// How far a single-precision sum may be off, relative to its size.
const TOLERANCE: f32 = 1e-4;

/// What ONNX Runtime answers, with the published weights, for the beginning of a recorded week.
pub(crate) struct Recorded {
    /// The minutes that the answers depend on: as many as there are answers, and two more.
    pub activity: Vec<f32>,
    pub sleep_index: Vec<f32>,
}

/// See [`Recorded`].
pub(crate) static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let text = include_str!("../../tests/server/data/answers.json");
    let json: Value = serde_json::from_str(text).expect("the recorded answers are JSON");
    let numbers = |value: &Value| -> Vec<f32> {
        serde_json::from_value(value.clone()).expect("the recorded answers are numbers")
    };
    let sleep_index = numbers(&json["cole_kripke"]["sleep_index"]["first"]);
    let mut activity = numbers(&json["activity"]);
    activity.truncate(sleep_index.len() + 2);
    Recorded {
        activity,
        sleep_index,
    }
});

/// The recorded minutes, and so many others after them.
pub(crate) fn recorded_and(minutes: usize, rng: &mut impl Rng) -> Vec<f32> {
    let recorded = RECORDED.activity.iter().copied();
    recorded.chain(activity(minutes, rng)).collect()
}

/// Whether an answer to [`recorded_and`] begins as ONNX Runtime's does.
pub(crate) fn is_as_recorded(answer: &Answer, scale: f32) -> Result<bool> {
    let (found, recorded) = (answer.sleep_index()?, &RECORDED.sleep_index);
    let expected = recorded.iter().map(|expected| expected * scale);
    Ok(found.len() > recorded.len() && found.iter().zip(expected).all(is_close))
}

/// Activity counts of so many minutes, as a wrist sensor gives them.
pub(crate) fn activity(minutes: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..minutes)
        .map(|_| f32::from(rng.random_range(0..400_u16)))
        .collect()
}

/// The sleep index of every minute, from weights that are `scale` times the published ones.
pub(crate) fn sleep_index(activity: &[f32], scale: f32) -> Vec<f32> {
    let at = |minute: usize, weight: usize| {
        let place = (minute + weight).checked_sub(4)?;
        activity.get(place)
    };
    let score = |minute| {
        let terms = WEIGHTS.iter().enumerate();
        terms
            .filter_map(|(k, weight)| Some(0.001 * scale * weight * at(minute, k)?))
            .sum()
    };
    (0..activity.len()).map(score).collect()
}

/// Whether the answer is the right one for this activity and scale, number by number.
pub(crate) fn is_right(answer: &Answer, activity: &[f32], scale: f32) -> Result<bool> {
    let (found, expected) = (answer.sleep_index()?, sleep_index(activity, scale));
    Ok(found.len() == expected.len() && found.iter().zip(expected).all(is_close))
}

/// Whether it is right must not be a question.
pub(crate) fn assert_right(answer: &Answer, activity: &[f32], scale: f32) -> Result {
    assert!(is_right(answer, activity, scale)?, "{}", answer.text);
    Ok(())
}

fn is_close((found, expected): (&f32, f32)) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

/// The model with weights that are `scale` times the published ones; a power of two, so that nothing is rounded.
///
/// The weights stand in the file as seven little-endian single-precision numbers.
pub(crate) fn scaled(model: &[u8], scale: f32) -> Result<Vec<u8>> {
    let bytes = |scale: f32| -> Vec<u8> {
        let weights = WEIGHTS.iter();
        weights
            .flat_map(|weight| (weight * 0.001 * scale).to_le_bytes())
            .collect()
    };
    let (old, new) = (bytes(1.0), bytes(scale));
    let place = model.windows(old.len()).position(|window| window == old);
    let place = place.ok_or("the model does not hold the published weights")?;
    let mut scaled = model.to_vec();
    scaled[place..place + new.len()].copy_from_slice(&new);
    Ok(scaled)
}
