//! Core without std, on a machine that has std.
//!
//! std defines the panic handler. So does this crate, and there may be only one: let any crate below pull std
//! in and the build fails with "found duplicate lang item `panic_impl`". A static library must also find its
//! allocator.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

// Naming core is enough to bring in its whole tree.
extern crate sansocket as _;

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {}
}

#[global_allocator]
static OUT_OF_MEMORY: OutOfMemory = OutOfMemory;

/// This library is never run, so no request is ever made of it.
struct OutOfMemory;

// SAFETY: null is how an allocator refuses, and one that gives nothing out has nothing to take back.
unsafe impl GlobalAlloc for OutOfMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
