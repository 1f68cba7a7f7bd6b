use clarity_chaos::chaos;

/// A parameter that is not the context.
#[chaos]
fn another_argument(_number: u32) {}

/// A return type that is not a `Result`.
#[chaos]
fn another_result() -> u32 {
    1
}

/// An async function whose return type is not a `Result`.
#[chaos]
async fn another_result_later() -> u32 {
    1
}

fn main() {}
