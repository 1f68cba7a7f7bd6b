use clarity_chaos::chaos;

/// Something other than the context.
#[chaos]
fn another_argument(_number: u32) {}

/// Something that is no result.
#[chaos]
fn another_result() -> u32 {
    1
}

/// Something that is no result, later.
#[chaos]
async fn another_result_later() -> u32 {
    1
}

fn main() {}
