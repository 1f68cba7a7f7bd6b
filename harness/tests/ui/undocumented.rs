use clarity_chaos::chaos;

#[chaos]
fn nobody_knows_what_this_is_about() {}

///
#[chaos(slow)]
fn an_empty_comment_is_none() {}

/**/
#[chaos]
fn an_empty_block_comment_is_none() {}

#[doc(alias = "documented")]
#[chaos]
fn an_alias_is_none() {}

fn main() {}
