//! A client and a server that compress, whatever their applications do, and a transport that carries any number of bytes at a
//! time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::compression::Coding;
use sansocket_fuzz::world::{Act, Start, World};

fuzz_target!(|input: (Start, [Coding; 2], Vec<Act>)| {
    let (start, codings, acts) = input;
    let mut world = World::compressing(&start, codings.map(|coding| coding.compression()));
    for act in acts {
        world.act(act);
        world.check();
    }
    world.finish();
});
