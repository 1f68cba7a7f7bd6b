use clarity_chaos::chaos;

#[doc = include_str!("empty.md")]
#[chaos]
fn an_empty_file_describes_nothing() {}

#[doc = concat!(" ", "\n")]
#[chaos]
fn white_space_describes_nothing() {}

fn main() {}
