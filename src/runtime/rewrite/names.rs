//! Names of new values.

/// The beginning of the name of a new value. A number follows.
const PREFIX: &[u8] = b"rewritten.";

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
