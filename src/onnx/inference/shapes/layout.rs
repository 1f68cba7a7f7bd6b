//! The shapes of outputs that have the elements of the inputs in another order.

use super::{ANY, ONE, Shaped, broadcast, length, of_rank, place};
use crate::onnx::interval::Interval;
use crate::onnx::value::{Sizes, Value};

impl Shaped<'_, '_> {
    pub(super) fn flatten(&self) -> Option<Sizes> {
        let Some(shape) = self.shape(0) else {
            return of_rank(2);
        };
        let rank = i64::try_from(shape.len()).ok()?;
        let axis = self.node.integer("axis").unwrap_or(1);
        let axis = if axis < 0 { axis + rank } else { axis };
        let axis = usize::try_from(axis)
            .ok()
            .filter(|axis| *axis <= shape.len())?;
        let (outer, inner) = shape.split_at(axis);
        Some(vec![product(outer), product(inner)])
    }

    pub(super) fn reshape(&self) -> Option<Sizes> {
        let sizes: Vec<Interval> = match (self.node.integers("shape"), self.each(1)) {
            (Some(sizes), _) => sizes
                .iter()
                .map(|size| Interval::of(*size as f64))
                .collect(),
            (None, Some(each)) => each.to_vec(),
            (None, None) => return of_rank(length(self.input(1)?)?),
        };
        let before = self.shape(0);
        let copies_zeros = self.node.integer("allowzero").unwrap_or(0) == 0;
        let resolved = |(at, size): (usize, &Interval)| match size.single() {
            Some(0.0) if copies_zeros => before
                .as_ref()
                .and_then(|before| before.get(at))
                .copied()
                .unwrap_or(ANY),
            _ if size.low >= 1.0 => *size,
            _ => ANY,
        };
        let mut shape: Sizes = sizes.iter().enumerate().map(resolved).collect();
        // The size for -1 follows from the number of all elements. A copied size cancels out.
        let is_copied = |at: usize| {
            copies_zeros && sizes.get(at).copied().and_then(Interval::single) == Some(0.0)
        };
        let open = |size: &Interval| size.single() == Some(-1.0);
        let mut opens = sizes.iter().enumerate().filter(|(_, size)| open(size));
        if let (Some((at, _)), None, Some(before)) = (opens.next(), opens.next(), &before) {
            let others = shape.iter().enumerate();
            let others = others.filter(|(other, _)| *other != at && !is_copied(*other));
            let others = others.fold(1.0, |least, (_, size)| least * size.low.max(1.0));
            let rest = before.iter().enumerate();
            let rest = rest.filter(|(axis, _)| !is_copied(*axis));
            let count = product(&rest.map(|(_, size)| *size).collect::<Sizes>());
            let known = shape
                .iter()
                .enumerate()
                .all(|(other, size)| other == at || is_copied(other) || size.single().is_some());
            let low = if known {
                (count.low / others).ceil()
            } else {
                0.0
            };
            shape[at] = Interval::new(low, (count.high / others).floor()).checked();
        }
        Some(shape)
    }

    /// The output of a recurrent layer: the steps, the directions, the items and the features.
    pub(super) fn recurrent(&self, output: usize) -> Sizes {
        let mut sizes = vec![ANY; 4];
        if self.node.integer("layout").unwrap_or(0) == 0 {
            if let Some([steps, items, _]) = self.shape(0).as_deref() {
                (sizes[0], sizes[2]) = (*steps, *items);
            }
            let is_double = self.node.text("direction") == Some(b"bidirectional");
            sizes[1] = Interval::of(if is_double { 2.0 } else { 1.0 });
            if let Some(features) = self.node.integer("hidden_size") {
                sizes[3] = Interval::of(features as f64);
            }
        }
        // The other outputs have the last step only.
        sizes.drain(..usize::from(output > 0));
        sizes
    }

    pub(super) fn expand(&self) -> Option<Sizes> {
        let sizes = match self.each(1) {
            Some(each) => {
                let size = |size: &Interval| if size.low >= 1.0 { *size } else { ANY };
                each.iter().map(size).collect()
            }
            None => of_rank(length(self.input(1)?)?)?,
        };
        broadcast(&[self.input(0), Some(&Value::of(None, Some(sizes)))])
    }

    pub(super) fn transpose(&self) -> Option<Sizes> {
        let shape = self.shape(0)?;
        match self.node.integers("perm") {
            None => Some(shape.into_iter().rev().collect()),
            Some(order) => {
                let order = order.iter();
                order
                    .map(|from| shape.get(usize::try_from(*from).ok()?).copied())
                    .collect()
            }
        }
    }

    pub(super) fn squeeze(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        match self.listed("axes", 1) {
            Some(axes) => {
                let rank = shape.len();
                let mut places = places(&axes, rank)?;
                places.dedup();
                places.into_iter().rev().for_each(|place| {
                    shape.remove(place);
                });
                Some(shape)
            }
            None if self.input(1).is_none() && shape.iter().all(|size| size.single().is_some()) => {
                shape.retain(|size| *size != ONE);
                Some(shape)
            }
            None => of_rank(shape.len().checked_sub(length(self.input(1)?)?)?),
        }
    }

    pub(super) fn unsqueeze(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let Some(axes) = self.listed("axes", 1) else {
            return of_rank(shape.len() + length(self.input(1)?)?);
        };
        for place in places(&axes, shape.len() + axes.len())? {
            if place > shape.len() {
                return None;
            }
            shape.insert(place, ONE);
        }
        Some(shape)
    }

    pub(super) fn concat(&self) -> Option<Sizes> {
        let mut all = self.inputs.iter();
        let mut joined = (*all.next()?)?.shape.clone()?;
        let axis = self.axis(1, joined.len())?;
        for other in all {
            let other = (*other)?.shape.clone()?;
            if other.len() != joined.len() {
                return None;
            }
            for (place, (size, other)) in joined.iter_mut().zip(other).enumerate() {
                *size = match place == axis {
                    true => size.add(other),
                    // The sizes are equal.
                    false => Interval::new(size.low.max(other.low), size.high.min(other.high)),
                };
            }
        }
        Some(joined)
    }

    pub(super) fn gather(&self) -> Option<Sizes> {
        let (data, indices) = (self.shape(0)?, self.shape(1)?);
        let axis = self.axis(0, data.len())?;
        let (before, after) = data.split_at(axis);
        Some([before, &indices, &after[1..]].concat())
    }

    pub(super) fn slice(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let starts = match self.node.integers("starts") {
            Some(starts) => Some(starts.len()),
            None => self.input(1).and_then(length),
        };
        let axes: Vec<usize> = match (self.listed("axes", 3), starts) {
            (Some(axes), _) => places(&axes, shape.len())?,
            (None, Some(count)) if self.input(3).is_none() => (0..count).collect(),
            _ => (0..shape.len()).collect(),
        };
        for axis in axes {
            if let Some(size) = shape.get_mut(axis) {
                size.low = 0.0;
            }
        }
        Some(shape)
    }

    pub(super) fn split(&self) -> Option<Sizes> {
        let mut shape = self.shape(0)?;
        let axis = self.axis(0, shape.len())?;
        let sizes = self.listed("split", 1);
        let size = sizes.and_then(|sizes| sizes.get(self.output).copied());
        let parts = self.node.outputs.len() as f64;
        shape[axis] = match (size, shape[axis].single()) {
            (Some(size), _) => Interval::of(size as f64),
            (None, Some(whole)) if self.input(1).is_none() && whole % parts == 0.0 => {
                Interval::of(whole / parts)
            }
            _ => Interval::new(0.0, shape[axis].high),
        };
        Some(shape)
    }
}

fn product(sizes: &[Interval]) -> Interval {
    let product = sizes
        .iter()
        .fold(ONE, |product, size| product.multiply(*size));
    product.checked()
}

/// The places of axes, in ascending order.
fn places(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let places = axes.iter().map(|axis| place(*axis, rank));
    let mut places: Vec<usize> = places.collect::<Option<_>>()?;
    places.sort_unstable();
    Some(places)
}
