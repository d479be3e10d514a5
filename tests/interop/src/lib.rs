//! What our peer and the other one written in Rust have in common.

pub mod commands;
