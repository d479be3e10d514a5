//! Running the Autobahn testsuite and judging its reports.
//!
//! The binary `run` does both, `check` judges a report that is already there; both are thin.

extern crate alloc;

pub mod cases;
pub mod negotiation;
pub mod process;
pub mod summary;
pub mod verdict;

use sansocket_driver::sansocket::{Compression, Config};

/// What the suite sends: messages of 16 MiB, and 4 MiB in 65,536 fragments with an empty one behind them.
pub const CONFIG: Config = Config::new()
    .max_message(16 << 20)
    .max_fragments(65_537)
    .compression(Some(Compression::new().min_size(0)));

/// The name under which the testsuite files our results; the client under test must give it too.
pub const AGENT: &str = "sansocket";
