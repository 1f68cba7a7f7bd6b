//! The common interface of all links, for the faults that disturb each kind of link.

use super::disturbed::Disturbed;
use super::{Link, UdpLink};
use std::sync::Arc;

/// A link of any kind: a [`Link`] for TCP, or a [`UdpLink`]. No other type can implement this
/// trait.
pub trait AnyLink: sealed::Sealed {}

impl AnyLink for Link {}

impl AnyLink for UdpLink {}

pub(crate) mod sealed {
    use super::{Arc, Disturbed, Link, UdpLink};

    pub trait Sealed {
        #[doc(hidden)]
        fn link_name(&self) -> &str;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "the trait is sealed")]
        fn disturbed(&self) -> Arc<dyn Disturbed>;
    }

    #[expect(private_interfaces, reason = "the trait is sealed")]
    impl Sealed for Link {
        fn link_name(&self) -> &str {
            self.name()
        }

        fn disturbed(&self) -> Arc<dyn Disturbed> {
            self.proxy()
        }
    }

    #[expect(private_interfaces, reason = "the trait is sealed")]
    impl Sealed for UdpLink {
        fn link_name(&self) -> &str {
            self.name()
        }

        fn disturbed(&self) -> Arc<dyn Disturbed> {
            self.proxy()
        }
    }
}
