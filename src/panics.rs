//! Turns panics of foreign code into errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`. Returns the panic's message as the error if `work` panics. The panic hook runs as
/// usual.
///
/// After a panic, values that `work` borrowed can be inconsistent, so the caller must drop or check
/// these values.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catch_returns_the_message_of_a_panic() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| -> () { panic!("plain") }), Err("plain".to_owned()));
        assert_eq!(
            catch(|| -> () { panic!("with {}", 1) }),
            Err("with 1".to_owned())
        );
    }
}
