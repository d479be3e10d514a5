//! What tasks share, they share by these. In the models of `driver/shuttle` others stand in their place, which try out
//! in what order things may happen.

pub(crate) use core::sync::atomic::AtomicU8;
pub(crate) use std::sync::{Mutex, MutexGuard};
