//! Plain data that the layers above hand to each other. What a run leaves for readers is `clarity-chaos-record`.

pub(crate) mod case;
pub(crate) mod confinement;
pub(crate) mod duration;
pub(crate) mod ending;
pub(crate) mod restriction;
