//! An input that a version answered, kept for later runs of the same version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::tensor::Tensor;

/// The last input that a version answered: at most 1 MiB, in memory alone.
///
/// The input is replaced at most once a second, so a busy version pays for few copies. The values
/// belong to a client: no log and no answer may show them.
#[derive(Default)]
pub(crate) struct GoodInput {
    kept: Mutex<Option<KeptInput>>,
    /// Cloned by each copy under way.
    copies: Arc<()>,
}

struct KeptInput {
    inputs: Vec<Tensor>,
    at: Instant,
}

/// A copy of an input that the version has not answered yet.
pub(crate) struct InputCopy {
    inputs: Vec<Tensor>,
    _counted: Arc<()>,
}

/// The largest input that is kept, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The number of copies of inputs that a version has not answered yet.
// Bounds the memory of the copies. Failing inputs cannot keep good ones out: each leaves its place
// when its run ends.
const MOST_COPIES: usize = 8;
const PERIOD: Duration = Duration::from_secs(1);

impl GoodInput {
    /// Copies `inputs`, since a run consumes them. Returns `None` if they are too large, or if the
    /// kept input is younger than a second. Also if too many copies are under way.
    pub(crate) fn copy(&self, inputs: &[Tensor]) -> Option<InputCopy> {
        let size = |tensor: &Tensor| tensor.data().size() + size_of_val(tensor.shape());
        let is_small = inputs.iter().map(size).sum::<usize>() <= MOST_BYTES;
        let is_due = || {
            let kept = self.lock();
            kept.as_ref().is_none_or(|kept| kept.at.elapsed() >= PERIOD)
        };
        if !is_small || Arc::strong_count(&self.copies) > MOST_COPIES || !is_due() {
            return None;
        }
        Some(InputCopy {
            inputs: inputs.to_vec(),
            _counted: Arc::clone(&self.copies),
        })
    }

    /// Keeps an input that the version has answered.
    pub(crate) fn keep(&self, copy: InputCopy) {
        let (inputs, at) = (copy.inputs, Instant::now());
        *self.lock() = Some(KeptInput { inputs, at });
    }

    /// Whether the version has answered an input that was kept.
    pub(crate) fn is_known(&self) -> bool {
        self.lock().is_some()
    }

    /// A copy of the kept input; `None` if the version has answered none yet.
    pub(crate) fn get(&self) -> Option<Vec<Tensor>> {
        self.lock().as_ref().map(|kept| kept.inputs.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeptInput>> {
        // No code under the lock leaves a half-changed value.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorData;

    fn input(first: i64, values: usize) -> Vec<Tensor> {
        let mut data = vec![0; values];
        data[0] = first;
        vec![Tensor::new(vec![values], TensorData::Int64(data)).unwrap()]
    }

    #[tokio::test(start_paused = true)]
    async fn last_input_is_kept_at_most_once_a_second() {
        let good = GoodInput::default();
        let first = good.copy(&input(1, 2)).unwrap();
        assert_eq!(good.get(), None, "not answered yet");
        good.keep(first);
        assert!(good.copy(&input(2, 2)).is_none());
        tokio::time::advance(PERIOD).await;
        good.keep(good.copy(&input(3, 2)).unwrap());
        assert_eq!(good.get(), Some(input(3, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn input_above_one_mebibyte_is_not_kept() {
        let good = GoodInput::default();
        assert!(
            good.copy(&input(1, MOST_BYTES / 8)).is_none(),
            "with its shape"
        );
        assert!(good.copy(&input(1, MOST_BYTES / 8 - 1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_count_by_their_real_size() {
        let good = GoodInput::default();
        let texts = |size| {
            let elements = ["a".repeat(size), String::new()];
            let elements = elements.into_iter().collect();
            vec![Tensor::new(vec![2], TensorData::Bytes(elements)).unwrap()]
        };
        // The shape and the places of two elements.
        let places = size_of::<usize>() + 2 * size_of::<usize>();
        assert!(good.copy(&texts(MOST_BYTES - places)).is_some());
        assert!(good.copy(&texts(MOST_BYTES - places + 1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn copies_under_way_are_bounded() {
        let good = GoodInput::default();
        let mut copies: Vec<InputCopy> = Vec::new();
        while let Some(copy) = good.copy(&input(1, 1)) {
            copies.push(copy);
        }
        assert_eq!(copies.len(), MOST_COPIES);
        copies.pop();
        assert!(good.copy(&input(1, 1)).is_some());
    }
}
