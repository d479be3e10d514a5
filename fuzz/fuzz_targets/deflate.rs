//! What the compressor makes of any messages, a decompressor with exactly the agreed window makes those messages of again.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sansocket::deflate::{Deflater, Inflater};
use sansocket_fuzz::compression::Coding;

#[derive(Arbitrary, Debug)]
enum Act {
    Message(Vec<u8>),
    /// The same bytes that many times.
    Long(Vec<u8>, u8),
    Pieces(Vec<Vec<u8>>),
    /// The compressor begins anew, which the decompressor need not know.
    Reset,
    /// Both do.
    ResetBoth,
}

fuzz_target!(|input: (Coding, Vec<Act>)| {
    let (coding, acts) = input;
    let mut deflater = Deflater::new(&coding.params());
    let mut inflater = Inflater::new(coding.window());
    for act in acts {
        let pieces = match act {
            Act::Message(message) => vec![message],
            Act::Long(bytes, times) => vec![bytes.repeat(usize::from(times))],
            Act::Pieces(pieces) => pieces,
            Act::Reset => {
                deflater.reset();
                continue;
            }
            Act::ResetBoth => {
                deflater.reset();
                inflater.reset();
                continue;
            }
        };
        let (last, first) =
            pieces.split_last().map_or((&[][..], &[][..]), |(last, first)| (&last[..], first));
        let mut payload = Vec::new();
        for piece in first {
            deflater.piece(piece, &mut payload);
        }
        deflater.finish(last, &mut payload);
        assert!(!payload.is_empty(), "a message has at least one byte");
        let message = pieces.concat();
        assert_eq!(inflater.message(&payload, message.len()).as_deref(), Ok(&message[..]));
    }
});
