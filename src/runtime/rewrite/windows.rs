//! The windows of convolutions and pooling.

use super::attribute;
use super::known::UNKNOWN;
use super::node::Node;
use super::replacement::Replacement;

pub(super) const PADS: &[u8] = b"pads";
pub(super) const AUTO_PAD: &[u8] = b"auto_pad";

/// The maximum number of spatial axes whose windows are known.
// The number comes from the model, and bounds what is written.
const MAX_AXES: usize = 8;

/// The padding that `auto_pad` chooses.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Same {
    /// Of an odd padding, the larger half is at the end.
    Upper,
    /// Of an odd padding, the larger half is at the beginning.
    Lower,
}

impl Same {
    /// The padding at the beginning of each axis, and then at the end of each.
    fn split(self, totals: &[i64]) -> Vec<i64> {
        let smaller = totals.iter().map(|total| total / 2);
        let larger = totals.iter().map(|total| total - total / 2);
        match self {
            Self::Upper => smaller.chain(larger).collect(),
            Self::Lower => larger.chain(smaller).collect(),
        }
    }
}

/// The sizes of the windows, and their movement, along each spatial axis.
pub(super) struct Windows {
    sizes: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    same: Option<Same>,
    /// The padding at the beginning of each axis, and then at the end of each.
    pads: Vec<i64>,
    rounds_up: bool,
}

impl Windows {
    /// Reads the windows of a node. `weights` is the shape of its weights, if it is known. Returns
    /// `None` if something is unknown or not valid.
    pub(super) fn read(node: &Node<'_>, weights: Option<&[i64]>) -> Option<Self> {
        let sizes = match node.integers(b"kernel_shape") {
            Some(sizes) => sizes,
            None => weights?.get(2..)?,
        };
        let axes = sizes.len();
        if axes > MAX_AXES {
            return None;
        }
        let list = |name, default, length| match node.integers(name) {
            Some(list) => list.to_vec(),
            None => vec![default; length],
        };
        let same = match node.string(AUTO_PAD) {
            Some(b"SAME_UPPER") => Some(Same::Upper),
            Some(b"SAME_LOWER") => Some(Same::Lower),
            _ => None,
        };
        let read = Self {
            sizes: sizes.to_vec(),
            strides: list(b"strides", 1, axes),
            dilations: list(b"dilations", 1, axes),
            same,
            pads: list(PADS, 0, 2 * axes),
            rounds_up: node.integer_or(b"ceil_mode", 0) != 0,
        };
        let is_whole = [&read.sizes, &read.strides, &read.dilations]
            .iter()
            .all(|list| list.len() == axes && list.iter().all(|of| (1..1 << 31).contains(of)));
        let is_padded =
            read.pads.len() == 2 * axes && read.pads.iter().all(|pad| (0..1 << 31).contains(pad));
        (is_whole && is_padded && !read.leaves_gaps()).then_some(read)
    }

    /// Whether `auto_pad` can mean a negative padding of 2 elements or more. Runtimes differ there.
    fn leaves_gaps(&self) -> bool {
        let mut axes = 0..self.axes();
        self.same.is_some() && axes.any(|axis| self.reach(axis) + 2 < self.strides[axis])
    }

    pub(super) fn axes(&self) -> usize {
        self.sizes.len()
    }

    /// Whether each window is one element, and there is one for each element.
    pub(super) fn are_elements(&self) -> bool {
        let mut all = self
            .sizes
            .iter()
            .chain(&self.strides)
            .chain(&self.dilations);
        all.all(|number| *number == 1)
    }

    /// The number of windows along an axis whose size is `size`.
    pub(super) fn count(&self, axis: usize, size: i64) -> Option<i64> {
        if axis >= self.axes() || size == UNKNOWN || self.rounds_up {
            return None;
        }
        let stride = self.strides[axis];
        if self.same.is_some() {
            return Some((size - 1).div_euclid(stride) + 1);
        }
        let padded = size.checked_add(self.pads[axis] + self.pads[self.axes() + axis])?;
        let last = padded.checked_sub(self.reach(axis) + 1)?;
        (last >= 0).then(|| last / stride + 1)
    }

    /// The distance from the first element of a window to the last.
    fn reach(&self, axis: usize) -> i64 {
        (self.sizes[axis] - 1) * self.dilations[axis]
    }

    /// The padding at the beginning of each axis and at the end of each, if it is known. `shape` is
    /// the shape of the input.
    pub(super) fn fixed_pads(&self, shape: Option<&[i64]>) -> Option<Vec<i64>> {
        let Some(same) = self.same else {
            return Some(self.pads.clone());
        };
        let mut totals = Vec::new();
        for axis in 0..self.axes() {
            let (stride, reach) = (self.strides[axis], self.reach(axis));
            let size = shape.and_then(|shape| shape.get(axis + 2)).copied();
            let total = match size.filter(|size| *size != UNKNOWN) {
                _ if stride == 1 || reach == 0 => reach,
                Some(size) => (reach - (size - 1).rem_euclid(stride)).max(0),
                None => return None,
            };
            totals.push(total);
        }
        Some(same.split(&totals))
    }

    /// The padding of a transposed convolution, for `auto_pad`. `None` if an axis needs a negative
    /// padding.
    pub(super) fn transposed_pads(&self, output_padding: &[i64]) -> Option<Vec<i64>> {
        let mut totals = Vec::new();
        for axis in 0..self.axes() {
            let more = *output_padding.get(axis)?;
            let total = (self.reach(axis) + 1 - self.strides[axis]).checked_add(more)?;
            totals.push(total);
        }
        let is_padding = totals.iter().all(|total| (0..1 << 31).contains(total));
        is_padding.then(|| self.same.map(|same| same.split(&totals)))?
    }

    /// Adds nodes that compute the padding of all axes from the shape of `input`, for `auto_pad`.
    pub(super) fn computed_pads(
        &self,
        input: &[u8],
        to: &mut Replacement<'_, '_>,
    ) -> Option<Vec<u8>> {
        let axes = self.axes();
        let reach: Vec<_> = (0..axes).map(|axis| self.reach(axis)).collect();
        let shape = to.add(b"Shape", &[input], &[])?;
        let (first, end) = (to.integers(&[2])?, to.integers(&[2 + axes as i64])?);
        let sizes = to.add(b"Slice", &[&shape, &first, &end], &[])?;
        let ones = to.integers(&vec![1; axes])?;
        let last = to.add(b"Sub", &[&sizes, &ones], &[])?;
        let strides = to.integers(&self.strides)?;
        let covered = to.add(b"Mod", &[&last, &strides], &[])?;
        let reach = to.integers(&reach)?;
        let total = to.add(b"Sub", &[&reach, &covered], &[])?;
        let zeros = to.integers(&vec![0; axes])?;
        let total = to.add(b"Max", &[&total, &zeros], &[])?;
        let two = to.integers(&vec![2; axes])?;
        let smaller = to.add(b"Div", &[&total, &two], &[])?;
        let larger = to.add(b"Sub", &[&total, &smaller], &[])?;
        let (begin, end) = match self.same? {
            Same::Upper => (smaller, larger),
            Same::Lower => (larger, smaller),
        };
        let unpadded = to.integers(&[0, 0])?;
        let axis = attribute::integer(b"axis", 0);
        to.add(b"Concat", &[&unpadded, &begin, &unpadded, &end], &[axis])
    }
}

/// The padding of all axes: 0 for the batch and the channels.
pub(super) fn around_spatial_axes(pads: &[i64]) -> Vec<i64> {
    let (begin, end) = pads.split_at(pads.len() / 2);
    [&[0, 0], begin, &[0, 0], end].concat()
}
