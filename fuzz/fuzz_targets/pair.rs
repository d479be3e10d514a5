//! A client and a server, whatever their applications do, and a transport that carries any number of bytes at a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::world::{Act, Start, World};

fuzz_target!(|input: (Start, Vec<Act>)| {
    let (start, acts) = input;
    let mut world = World::new(&start);
    for act in acts {
        world.act(act);
        world.check();
    }
    world.finish();
});
