//! Running the Autobahn testsuite and judging its reports.
//!
//! The binary `run` does both, `check` judges a report that is already there; both are thin.

extern crate alloc;

pub mod cases;
pub mod negotiation;
pub mod process;
pub mod summary;
pub mod verdict;

/// The name under which the testsuite files our results; the client under test must give it too.
pub const AGENT: &str = "sansocket";
