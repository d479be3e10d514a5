//! Frames that a server gets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::Role;

fuzz_target!(|data: &[u8]| sansocket_fuzz::frames::check(Role::Server, data));
