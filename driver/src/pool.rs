//! Blocks of memory and codecs that connections borrow for as long as bytes pass through them, one set a
//! thread.
//!
//! An idle connection holds none. Nothing is borrowed across a callback, so a handler may drive other
//! connections; for the codecs of the connection that it is called by, those make do with new ones.

use core::cell::RefCell;

#[cfg(feature = "deflate")]
use sansocket::deflate;

/// One read takes in up to this: many small messages, or one of 64 KiB with its header.
pub(crate) const READ: usize = 64 * 1024 + 64;

/// A block to read into has this much more, so that what is read can begin [where it is best](front).
pub(crate) const PAGE: usize = 4096;

const BLOCK: usize = READ + PAGE;

/// A thread keeps so much of what is read into.
const MAX_READ: usize = 4 * 1024 * 1024;

/// A block for output that has grown beyond this is freed instead of kept.
const MAX_OUTPUT: usize = 256 * 1024;

/// A thread keeps so much of what long messages were put together in.
const MAX_MESSAGES: usize = 4 * 1024 * 1024;

/// A thread keeps this many blocks of each kind: more only come from connections that wait with half-read
/// input.
const KEEP: usize = 8;

#[derive(Default)]
struct Pool {
    read: Vec<Box<[u8]>>,
    output: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    #[cfg(feature = "deflate")]
    codecs: Option<Box<deflate::Pool>>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// `None` while the thread ends, and the pool with it: a connection may be dropped after that.
fn with<R>(work: impl FnOnce(&mut Pool) -> R) -> Option<R> {
    POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
}

/// A block to read into. What it has in it is of no meaning.
pub(crate) fn take_read() -> Box<[u8]> {
    with(|pool| pool.read.pop()).flatten().unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice())
}

/// Where in a block to begin: in the middle of a page. Operating systems copy by `rep movsb`, which takes AMD's processors
/// up to sixteen times as long if the target lies less than 16 bytes further on in its page than the source does in its
/// own; and theirs begins near a page's beginning, as an allocator's long blocks do.
pub(crate) fn front(block: &[u8]) -> usize {
    (PAGE / 2).wrapping_sub(block.as_ptr().addr()) % PAGE
}

/// One of `wanted` bytes or more if there is one, else of `least`, from its front on.
pub(crate) fn take_long_read(wanted: usize, least: usize) -> Box<[u8]> {
    let [wanted, least] = [wanted, least].map(|len| len.saturating_add(PAGE));
    with(|pool| {
        let of = |len| pool.read.iter().rposition(|block| block.len() >= len);
        let index = of(wanted).or_else(|| of(least))?;
        Some(pool.read.swap_remove(index))
    })
    .flatten()
    .unwrap_or_else(|| vec![0; least].into_boxed_slice())
}

/// Gives a block back, unzeroed.
pub(crate) fn give_read(block: Box<[u8]>) {
    with(|pool| {
        let has_room = || pool.read.iter().map(|block| block.len()).sum::<usize>() + block.len() <= MAX_READ;
        if block.len() >= BLOCK && (pool.read.is_empty() || pool.read.len() < KEEP && has_room()) {
            pool.read.push(block);
        }
    });
}

/// A block for output, if there is one; a connection makes its own otherwise.
pub(crate) fn take_output() -> Option<Vec<u8>> {
    with(|pool| pool.output.pop()).flatten()
}

/// Gives a block for output back.
pub(crate) fn give_output(block: Vec<u8>) {
    with(|pool| {
        if block.capacity() <= MAX_OUTPUT && pool.output.len() < KEEP {
            pool.output.push(block);
        }
    });
}

/// Memory for a message of this length and not for much longer ones, if there is some.
pub(crate) fn take_message(len: usize) -> Vec<u8> {
    with(|pool| {
        let fits = |memory: &Vec<u8>| (len..=len.saturating_mul(4)).contains(&memory.capacity());
        let index = pool.messages.iter().rposition(fits)?;
        Some(pool.messages.swap_remove(index))
    })
    .flatten()
    .unwrap_or_default()
}

/// Gives memory of a long message back.
pub(crate) fn give_message(memory: Vec<u8>) {
    if memory.capacity() == 0 {
        return;
    }
    with(|pool| {
        let held: usize = pool.messages.iter().map(Vec::capacity).sum();
        if held + memory.capacity() <= MAX_MESSAGES && pool.messages.len() < KEEP {
            pool.messages.push(memory);
        }
    });
}

/// The codecs of this thread.
#[cfg(feature = "deflate")]
pub(crate) fn take_codecs() -> Box<deflate::Pool> {
    with(|pool| pool.codecs.take()).flatten().unwrap_or_default()
}

/// Gives the codecs back.
#[cfg(feature = "deflate")]
pub(crate) fn give_codecs(codecs: Box<deflate::Pool>) {
    with(|pool| pool.codecs = Some(codecs));
}
