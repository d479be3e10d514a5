//! Bytes on the wire, written without the library's encoder.

use sansocket::{Cause, ProtocolError, Role, State};

use crate::Record;

/// The key that a client's frames are masked with here.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// A final frame as an endpoint in `receiver` gets it: masked for a server.
pub fn frame(receiver: Role, opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    raw(0x80 | opcode, (receiver == Role::Server).then_some(KEY), payload.as_ref())
}

/// The same, with another frame of the message to follow.
pub fn fragment(receiver: Role, opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    raw(opcode, (receiver == Role::Server).then_some(KEY), payload.as_ref())
}

/// A Close frame with a code, as an endpoint in `receiver` gets it.
pub fn close(receiver: Role, code: u16, reason: &str) -> Vec<u8> {
    frame(receiver, CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A frame with this first byte, whatever it means.
pub fn raw(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(mask_bit | u8::try_from(len).unwrap()),
        len @ 126..=65_535 => {
            out.push(mask_bit | 126);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(mask_bit | 127);
            out.extend(u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    match key {
        None => out.extend(payload),
        Some(key) => {
            out.extend(key);
            out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        }
    }
    out
}

/// A header with these first two bytes, the mask bit and the key added as the receiver must get them.
pub fn header(receiver: Role, first: u8, second: u8, length: &[u8]) -> Vec<u8> {
    let (bit, key) = if receiver == Role::Server { (0x80, &KEY[..]) } else { (0, &[][..]) };
    [&[first, second | bit], length, key].concat()
}

/// A frame taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// FIN, RSV and opcode.
    pub first: u8,
    /// Whether it was masked.
    pub masked: bool,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

/// The frames in `bytes`, which must all be whole.
pub fn parse(bytes: &[u8]) -> Vec<Parsed> {
    let (frames, rest) = parse_whole(bytes);
    assert!(rest.is_empty(), "half a frame: {rest:02x?}");
    frames
}

/// The whole frames at the beginning of `bytes`, and what is behind them.
pub fn parse_whole(mut bytes: &[u8]) -> (Vec<Parsed>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = parse_one(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes)
}

fn parse_one(bytes: &[u8]) -> Option<(Parsed, &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (len, rest) = match second & 0x7F {
        126 => rest.split_first_chunk().map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest))?,
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        len => (u64::from(len), rest),
    };
    let masked = second & 0x80 != 0;
    let (key, rest) = if masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    let payload = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Some((Parsed { first, masked, payload }, rest))
}

/// The payload of a Close frame with a code and no reason.
pub fn close_payload(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// Asserts that `record` is of an endpoint in `role` that failed the connection (§7.1.7): it wrote one Close with this code
/// and nothing else, closed its writing direction, and shows `error` as the one verdict.
#[track_caller]
pub fn assert_failed(role: Role, record: &Record, error: ProtocolError, code: u16) {
    assert_eq!(record.end.cause(), &Cause::Violation(error));
    assert_eq!(record.end.sent().and_then(|frame| frame.code()).map(|code| code.get()), Some(code));
    assert_eq!(record.end.received(), None);
    assert_eq!((record.state, record.shutdown), (State::Closing, true));
    if role == Role::Server {
        let [high, low] = code.to_be_bytes();
        assert_eq!(record.output, [0x88, 0x02, high, low]);
    }
    let close = Parsed { first: 0x80 | CLOSE, masked: role == Role::Client, payload: close_payload(code) };
    assert_eq!(parse(&record.output), [close]);
}

/// The payloads of the frames with this opcode in `bytes`.
pub fn payloads(bytes: &[u8], opcode: u8) -> Vec<Vec<u8>> {
    parse(bytes).into_iter().filter(|frame| frame.first == 0x80 | opcode).map(|frame| frame.payload).collect()
}
