//! Explores crashes of well-known embedded stores. The tests are in `tests/stores`.

#![forbid(unsafe_code)]
