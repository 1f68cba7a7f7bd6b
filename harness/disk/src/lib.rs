//! Models of a disk that loses power: the states that it can have afterwards.

#![forbid(unsafe_code)]
