//! Names of new values.

/// The beginning of the name of a new value. A number follows.
const PREFIX: &[u8] = b"rewritten.";

/// The names of the nodes that the rewriting of a model added.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runtime) struct NewNames {
    /// The number of the first name; `None` if the model was not rewritten.
    first: Option<u64>,
}

impl NewNames {
    /// The names that the rewriting of `original` gives to new nodes.
    pub(in crate::runtime) fn of(original: &[u8]) -> Self {
        Self {
            first: first_unused(original),
        }
    }

    /// Whether the rewriting added the node of this name. The original model does not contain the
    /// name.
    pub(in crate::runtime) fn contain(self, name: &str) -> bool {
        let Some(digits) = name.as_bytes().strip_prefix(PREFIX) else {
            return false;
        };
        // Only digits: a number after a sign is no name of this module.
        let is_number = digits.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(digits).ok().filter(|_| is_number);
        self.first
            .zip(number.and_then(|number| number.parse().ok()))
            .is_some_and(|(first, number): (u64, u64)| number >= first)
    }
}

/// Makes names that the model does not contain.
pub(super) struct Names<'a> {
    model: &'a [u8],
    /// The number of the next name, after the first name was made.
    next: Option<u64>,
}

impl<'a> Names<'a> {
    pub(super) fn new(model: &'a [u8]) -> Self {
        Self { model, next: None }
    }

    /// Makes a name that neither the model contains nor an earlier call returned. Returns `None` if
    /// there is none.
    pub(super) fn fresh(&mut self) -> Option<Vec<u8>> {
        let number = match self.next {
            Some(number) => number,
            None => first_unused(self.model)?,
        };
        self.next = Some(number.checked_add(1)?);
        Some([PREFIX, number.to_string().as_bytes()].concat())
    }
}

/// The lowest number above the numbers of all names in the bytes.
fn first_unused(bytes: &[u8]) -> Option<u64> {
    let mut first = 0;
    for (place, window) in bytes.windows(PREFIX.len()).enumerate() {
        if window == PREFIX {
            let digits = bytes[place + PREFIX.len()..].iter().copied();
            let mut number: u64 = 0;
            for digit in digits.take_while(u8::is_ascii_digit) {
                let digit = u64::from(digit - b'0');
                number = number.checked_mul(10)?.checked_add(digit)?;
            }
            first = first.max(number.checked_add(1)?);
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_the_original_model_is_new() {
        for original in [
            "rewritten.0",
            "rewritten.41",
            "rewritten.007",
            "rewritten.+9",
            "rewritten.-1",
            "rewritten. 5",
            "rewritten.",
            "rewritten.5x",
            "a rewritten.12",
        ] {
            let new = NewNames::of(original.as_bytes());
            assert!(!new.contain(original), "{original}");
            let fresh = Names::new(original.as_bytes()).fresh().unwrap();
            assert!(new.contain(std::str::from_utf8(&fresh).unwrap()));
            assert!(!NewNames::default().contain(original));
        }
    }
}
