//! The model in most repositories: requests for it, and the right answers, computed without a model
//! runtime.
//!
//! The model computes the score of Cole, Kripke et al. 1992 (doi:10.1093/sleep/15.5.461): a
//! weighted sum over seven minutes. A minute with a score below 1 counts as asleep.

use crate::Response;
use crate::onnx::{DataType, OPEN, model, node, value};
use clarity_chaos::Result;
use clarity_chaos::rand::{Rng, RngExt as _};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The published weights, in thousandths: four for the minutes before, one for the minute itself,
/// two for those after.
pub const WEIGHTS: [f32; 7] = [106.0, 54.0, 58.0, 76.0, 230.0, 74.0, 67.0];

/// The path of the model's predictions.
pub const INFER: &str = "/v2/models/cole_kripke/infer";

/// The SHA-256 of the model's published file.
pub const DIGEST: &str = "837b04d3e20336de76fb7662e31a2595cb46ef02de323a8d3b2b374b16b06003";

/// Valid activity counts whose weighted sum exceeds single precision, if the weights are four times
/// the published ones. The answer is then not finite.
pub const OVERWHELMING: [f32; 10] = [3e38; 10];

/// The allowed error of a single-precision sum, relative to its size, or absolute for sums below 1.
const TOLERANCE: f32 = 1e-4;

/// A request for the scores of the minutes in `activity`.
#[must_use]
pub fn request(activity: &[f32]) -> Value {
    json!({ "inputs": [{
        "name": "activity",
        "datatype": "FP32",
        "shape": [1, activity.len()],
        "data": activity,
    }]})
}

/// A request for five minutes. [`SHORT_ANSWER`] is the right answer by version 1.
#[must_use]
pub fn short_request() -> Value {
    request(&[8.0, 0.0, 0.0, 0.0, 0.0])
}

/// The body of version 1's answer to [`short_request`].
pub const SHORT_ANSWER: &str = concat!(
    r#"{"model_name":"cole_kripke","model_version":"1","outputs":["#,
    r#"{"name":"sleep_index","datatype":"FP32","shape":[1,5],"data":[1.84,0.60800004,0.46400002,0.432,0.84800005]},"#,
    r#"{"name":"asleep","datatype":"BOOL","shape":[1,5],"data":[false,true,true,true,true]}]}"#
);

/// A recorded week of minutes, and the answers of ONNX Runtime to it.
#[derive(Debug)]
pub struct RecordedWeek {
    /// The activity count of each minute.
    pub activity: Vec<f32>,
    /// For each output: the `shape`, the `first` values and the sum of all magnitudes, `abs_sum`.
    pub answers: Value,
}

impl RecordedWeek {
    /// Reads the recorded week.
    ///
    /// # Panics
    ///
    /// When the file does not have the expected form.
    #[must_use]
    pub fn read() -> Self {
        let mut recorded: Value = serde_json::from_str(include_str!("../../data/answers.json"))
            .expect("the recorded answers are JSON");
        Self {
            activity: numbers(&recorded["activity"]),
            answers: recorded["cole_kripke"].take(),
        }
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).expect("the recorded answers are numbers")
}

/// The beginning of the recorded week: the minutes with a recorded answer, and two more, which
/// affect the last answers.
static BEGINNING: LazyLock<(Vec<f32>, Vec<f32>)> = LazyLock::new(|| {
    let mut week = RecordedWeek::read();
    let sleep_index = numbers(&week.answers["sleep_index"]["first"]);
    week.activity.truncate(sleep_index.len() + 2);
    (week.activity, sleep_index)
});

/// The beginning of the recorded week, followed by `minutes` random minutes.
#[must_use]
pub fn recorded_and(minutes: usize, rng: &mut impl Rng) -> Vec<f32> {
    let recorded = BEGINNING.0.iter().copied();
    recorded.chain(activity(minutes, rng)).collect()
}

/// Whether an answer to [`recorded_and`] begins with the numbers of ONNX Runtime, times `scale`.
///
/// # Errors
///
/// When the response is not an answer of this model.
pub fn is_as_recorded(answer: &Response, scale: f32) -> Result<bool> {
    let (found, recorded) = (answer.sleep_index()?, &BEGINNING.1);
    let expected = recorded.iter().map(|expected| expected * scale);
    Ok(found.len() > recorded.len() && found.iter().zip(expected).all(is_close))
}

/// Random activity counts of `minutes` minutes, in the range of a wrist sensor.
#[must_use]
pub fn activity(minutes: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..minutes)
        .map(|_| f32::from(rng.random_range(0..400_u16)))
        .collect()
}

/// The sleep index of every minute, with weights of `scale` times the published ones.
#[must_use]
pub fn sleep_index(activity: &[f32], scale: f32) -> Vec<f32> {
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

/// Whether every number of the answer is right for this activity and scale.
///
/// # Errors
///
/// When the response is not an answer of this model.
pub fn is_right(answer: &Response, activity: &[f32], scale: f32) -> Result<bool> {
    let (found, expected) = (answer.sleep_index()?, sleep_index(activity, scale));
    Ok(found.len() == expected.len() && found.iter().zip(expected).all(is_close))
}

/// Asserts that every number of the answer is right for this activity and scale.
///
/// # Errors
///
/// When the response is not an answer of this model.
#[track_caller]
pub fn assert_right(answer: &Response, activity: &[f32], scale: f32) -> Result {
    assert!(is_right(answer, activity, scale)?, "{}", answer.body);
    Ok(())
}

fn is_close((found, expected): (&f32, f32)) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

/// The model with weights of `scale` times the published ones. If `scale` is a power of two, no
/// weight is rounded.
///
/// # Errors
///
/// When `model` does not contain the published weights.
// The file holds the weights as seven little-endian single-precision numbers.
pub fn scaled(model: &[u8], scale: f32) -> Result<Vec<u8>> {
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

/// A model for seven minutes of activity, with the inputs and outputs of `cole_kripke`. Its sleep
/// index is twice the activity.
#[must_use]
pub fn other_model() -> Vec<u8> {
    let nodes = vec![
        node("Add", &["activity", "activity"], "sleep_index"),
        node("Less", &["activity", "sleep_index"], "asleep"),
    ];
    let tensor = |name, datatype| value(name, datatype, &[OPEN, 7]);
    let outputs = vec![
        tensor("sleep_index", DataType::FLOAT),
        tensor("asleep", DataType::BOOL),
    ];
    model(vec![tensor("activity", DataType::FLOAT)], nodes, outputs)
}
