//! The rules of RFC 9111 for a shared cache, as pure functions over headers and times.
//!
//! Nothing here reads a clock or does I/O. Each file holds one area, lowest first:
//!
//! | file | area |
//! | --- | --- |
//! | [`authority`] | the host that a request names |
//! | [`lists`] | comma-separated lists in header fields (RFC 9110, section 5.6.1) |
//! | [`structured`] | dictionaries (RFC 9651) |
//! | [`directives`] | `Cache-Control`, targeted fields (RFC 9213) and `Pragma` |
//! | [`fields`] | which header fields are stored, and which one hop uses |
//! | [`negotiation`] | preferences of clients, reduced to what a service offers |
//! | [`vary`] | which requests may share a response |
//! | [`freshness`] | age, lifetime, and whether a stored response may be reused |
//! | [`storable`] | whether a response may be stored |
//! | [`conditions`] | validators, conditional requests, and answers with 304 |
//! | [`ranges`] | parts of a stored response |
//! | [`invalidation`] | what an unsafe request invalidates |

pub(crate) mod authority;
pub(crate) mod conditions;
pub(crate) mod directives;
pub(crate) mod fields;
pub(crate) mod freshness;
pub(crate) mod invalidation;
pub(crate) mod lists;
pub(crate) mod negotiation;
pub(crate) mod ranges;
pub(crate) mod storable;
mod structured;
#[cfg(test)]
mod tests;
pub(crate) mod vary;
