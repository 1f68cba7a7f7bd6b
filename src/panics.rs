//! Panics of code that is not ours, as values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; a panic becomes its message. The panic hook still runs first, and prints it.
///
/// What `work` had borrowed may be half-changed after a panic. Every caller either drops it or hands it out again only
/// behind checks of its own.
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
    fn a_panic_becomes_its_message() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| -> () { panic!("plain") }), Err("plain".to_owned()));
        assert_eq!(
            catch(|| -> () { panic!("with {}", 1) }),
            Err("with 1".to_owned())
        );
    }
}
