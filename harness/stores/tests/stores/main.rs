//! Stores that nobody of this project wrote: safe settings survive each crash, unsafe ones do not.

mod lmdb;
mod mapped_index;
mod sqlite;
mod verdict;

clarity_chaos::main!();
