//! One connection and whatever a caller and a peer may do to it, in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::session::{Op, Session, Start};

fuzz_target!(|input: (Start, Vec<Op>)| {
    let (start, ops) = input;
    let mut session = Session::new(&start);
    for op in ops {
        session.apply(op);
        session.check();
    }
    session.finish();
});
