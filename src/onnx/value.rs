//! The knowledge about a value of a graph.

use super::element_type::ElementType;
use super::input_limits::InputLimits;
use super::interval::Interval;
use super::tensor::{ConstantTensor, ExternalFiles};
use super::value_info::TensorType;

/// The largest rank that is followed.
// The limit keeps the inference linear for hostile models.
pub(super) const MAX_RANK: usize = 16;

/// The largest number of elements that are followed one by one.
pub(super) const MAX_ELEMENTS: usize = 64;

/// The range of the size of each dimension.
pub(crate) type Sizes = Vec<Interval>;

/// The knowledge about one value: a tensor or a sequence of tensors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    pub(crate) element: Option<ElementType>,
    pub(crate) is_sequence: bool,
    /// The ranges of the sizes of the dimensions; `None` for an unknown rank.
    pub(crate) shape: Option<Sizes>,
    /// Whether the value is the same in each run.
    pub(crate) is_constant: bool,
    /// A range of all elements; `None` if nothing is known.
    range: Option<Interval>,
    /// The ranges of the single elements in row-major order.
    pub(crate) each: Option<Vec<Interval>>,
}

impl Value {
    pub(crate) fn of(element: Option<ElementType>, shape: Option<Sizes>) -> Self {
        Self {
            element,
            shape: shape.filter(|shape| shape.len() <= MAX_RANK),
            ..Self::default()
        }
    }

    /// The value of a graph's input. The server admits only inputs as declared, and INT64 only
    /// within 32 bits.
    pub(super) fn of_input(declared: Option<&TensorType>, limits: InputLimits) -> Self {
        let Some(declared) = declared else {
            return Self::default();
        };
        let size =
            |size: &Option<i64>| size.map_or(limits.sizes(), |size| Interval::of(size as f64));
        let shape = declared.shape.as_ref();
        let shape = shape.map(|sizes| sizes.iter().map(size).collect());
        let mut value = Self::of(Some(declared.element), shape);
        if declared.element == ElementType::INT64 {
            value.range = Some(limits.integers());
        }
        if matches!(declared.element, ElementType::INT32 | ElementType::FLOAT) {
            value.range = limits.numbers();
        }
        value
    }

    pub(super) fn of_tensor(tensor: &ConstantTensor<'_>, files: &ExternalFiles<'_>) -> Self {
        let sizes = tensor.shape.iter();
        let shape = sizes.map(|size| Interval::of(*size as f64)).collect();
        let mut value = Self::of(Some(tensor.element), Some(shape));
        value.is_constant = true;
        let is_small = tensor.count().is_some_and(|count| count <= MAX_ELEMENTS);
        if tensor.element == ElementType::FLOAT {
            if is_small && let Some(floats) = tensor.floats(files) {
                value.set_each(
                    floats
                        .into_iter()
                        .map(|value| Interval::of(value.into()))
                        .collect(),
                );
            }
            return value;
        }
        let (mut hull, mut each) = (None::<Interval>, Vec::new());
        let read = tensor.each_integer(files, |number| {
            // A bound beyond 2^53 is rounded away from zero, or to a number as far beyond 32 bits.
            let number = Interval::of(number as f64);
            hull = Some(hull.map_or(number, |hull| hull.join(number)));
            if is_small {
                each.push(number);
            }
        });
        if read.is_some() {
            value.range = hull;
            if is_small {
                value.set_each(each);
            }
        }
        value
    }

    /// The rank, if it is known.
    pub(crate) fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The range of the number of elements; `None` for an unknown rank.
    pub(super) fn count(&self) -> Option<Interval> {
        let sizes = self.shape.as_ref()?.iter();
        Some(sizes.fold(Interval::of(1.0), |count, size| count.multiply(*size)))
    }

    /// A range that contains each element: as wide as the type, if nothing else is known.
    pub(crate) fn range(&self) -> Interval {
        let of_type = match self.element {
            Some(ElementType::BOOL) => Interval::BIT,
            Some(ElementType::UINT8) => Interval::new(0.0, 255.0),
            Some(ElementType::INT8) => Interval::new(-128.0, 127.0),
            Some(ElementType::INT32) => Interval::BITS_32,
            Some(ElementType::INT64) => Interval::BITS_64,
            _ => Interval::ALL,
        };
        match self.range {
            Some(range) if range.is_within(of_type) => range,
            // Numbers of 32 bits wrap around.
            _ => of_type,
        }
    }

    /// Whether all elements are known to fit into 32 bits.
    pub(crate) fn fits_32_bits(&self) -> bool {
        match self.range {
            // A computed INT64 that leaves 64 bits has wrapped around.
            Some(range) => range.is_within(Interval::BITS_32),
            None => self.range().is_within(Interval::BITS_32),
        }
    }

    pub(super) fn with_range(mut self, range: Interval) -> Self {
        self.range = Some(range);
        self
    }

    /// Sets the ranges of the single elements, if they are few.
    pub(super) fn set_each(&mut self, each: Vec<Interval>) {
        if each.len() > MAX_ELEMENTS {
            return;
        }
        let mut hull: Option<Interval> = None;
        for range in &each {
            hull = Some(hull.map_or(*range, |hull| hull.join(*range)));
        }
        // An empty tensor has no element outside of any range.
        self.range = Some(hull.unwrap_or(Interval::of(0.0)));
        self.each = Some(each);
    }

    /// The exact elements, if they are few and known.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        self.each
            .as_ref()?
            .iter()
            .map(|range| range.single())
            .collect()
    }

    /// The knowledge that holds for both values.
    pub(super) fn join(&self, other: &Self) -> Self {
        let shape = match (&self.shape, &other.shape) {
            (Some(one), Some(two)) if one.len() == two.len() => {
                let sizes = one.iter().zip(two);
                Some(sizes.map(|(one, two)| one.join(*two)).collect())
            }
            _ => None,
        };
        let mut joined = Self::of(
            self.element.filter(|one| Some(*one) == other.element),
            shape,
        );
        joined.is_sequence = self.is_sequence || other.is_sequence;
        if self.is_sequence != other.is_sequence {
            joined.element = None;
        }
        joined.with_range(self.range().join(other.range()))
    }
}
