//! The manual: pages without code, which stand in `docs/` too.

#[doc = include_str!("../docs/conformance.md")]
pub mod conformance {}

#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}

#[doc = include_str!("../docs/delivery.md")]
pub mod delivery {}

// Its programs need the companion crates: they are run with the example application.
#[cfg(not(doctest))]
#[doc = include_str!("../docs/ecosystem.md")]
pub mod ecosystem {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/promises.md")]
pub mod promises {}

#[doc = include_str!("../docs/reading.md")]
pub mod reading {}

#[doc = include_str!("../docs/recipes.md")]
pub mod recipes {}

#[doc = include_str!("../docs/reliability.md")]
pub mod reliability {}

#[doc = include_str!("../docs/servers.md")]
pub mod servers {}

#[doc = include_str!("../docs/states.md")]
pub mod states {}

#[doc = include_str!("../docs/stores.md")]
pub mod stores {}
