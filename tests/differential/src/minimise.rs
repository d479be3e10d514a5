//! A stream made shorter while it still differs, so that it can be read.

use std::io;

use crate::compare::{Reason, explain};
use crate::parting::Parting;
use crate::peer::Peer;
use crate::stream::{Frame, Stream, mask};

/// What is left of `stream`, over which we and the peer differ for no known reason.
pub(crate) fn minimise(peer: &mut Peer, stream: &Stream) -> io::Result<Box<Parting>> {
    let mut best = unknown(peer, stream)?.ok_or(io::ErrorKind::InvalidData)?;
    loop {
        let before = best.stream.bytes.len();
        for candidate in shorter(&best) {
            if candidate.bytes.len() <= best.stream.bytes.len()
                && let Some(parting) = unknown(peer, &candidate)?
                && parting.stream != best.stream
                && parting.is_like(&best)
            {
                best = parting;
                break;
            }
        }
        if best.stream.bytes.len() >= before {
            return Ok(best);
        }
    }
}

fn unknown(peer: &mut Peer, stream: &Stream) -> io::Result<Option<Box<Parting>>> {
    Ok(match explain(peer, [stream].into_iter())?.pop() {
        Some(Reason::Unknown(parting)) => Some(parting),
        _ => None,
    })
}

/// Without one of the frames, or without some of a payload.
fn shorter(parting: &Parting) -> Vec<Stream> {
    let (stream, frames) = (&parting.stream, &parting.frames);
    let with = |at: usize, bytes: &[u8]| {
        let range = frames[at].range.clone();
        Stream {
            setup: stream.setup,
            bytes: [&stream.bytes[..range.start], bytes, &stream.bytes[range.end..]].concat(),
        }
    };
    let mut candidates: Vec<_> = (0..frames.len()).map(|at| with(at, &[])).collect();
    for (at, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.whole) {
        let len = frame.payload.len();
        for n in [len, len / 2, len / 4, 10, 3, 1].into_iter().filter(|n| *n > 0 && *n <= len) {
            candidates.push(with(at, &again(frame, &frame.payload[n..])));
            candidates.push(with(at, &again(frame, &frame.payload[..len - n])));
        }
    }
    candidates
}

/// The frame with another payload, and a key of zeros.
fn again(frame: &Frame, payload: &[u8]) -> Vec<u8> {
    let masked = if frame.key.is_some() { 0x80 } else { 0 };
    let len = payload.len() as u64;
    let short = match len {
        0..=125 => u8::try_from(len).unwrap_or(0),
        126..=0xFFFF => 126,
        _ => 127,
    };
    // A form that is longer than need be stays.
    let short = if frame.short > 125 { short.max(frame.short) } else { short };
    let extended = match short {
        126 => len.to_be_bytes()[6..].to_vec(),
        127 => len.to_be_bytes().to_vec(),
        _ => Vec::new(),
    };
    let key = frame.key.map_or(Vec::new(), |_| vec![0; 4]);
    let mut payload = payload.to_vec();
    mask(&mut payload, frame.key.map(|_| [0; 4]));
    [vec![frame.first, masked | short], extended, key, payload].concat()
}
