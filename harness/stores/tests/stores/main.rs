//! Stores that nobody of this project wrote: safe settings survive each crash, unsafe ones do not.

mod sqlite;
mod verdict;

clarity_chaos::main!();
