//! The frame header (RFC 6455 §5.2).
//!
//! ```text
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//!  |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//!  |N|V|V|V|       |S|             |   (if payload len==126/127)   |
//!  | |1|2|3|       |K|             |                               |
//!  +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//!  |     Extended payload length continued, if payload len == 127  |
//!  + - - - - - - - - - - - - - - - +-------------------------------+
//!  |                               |Masking-key, if MASK set to 1  |
//!  +-------------------------------+-------------------------------+
//! ```

use alloc::vec::Vec;
use core::ops::Deref;

use super::{MAX_CONTROL_PAYLOAD, MAX_HEADER};
use crate::error::ProtocolError;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
pub(super) const MASK: u8 = 0x80;
/// Of an opcode: set for control frames (§5.5).
pub(super) const CONTROL_BIT: u8 = 0x08;
pub(super) const LEN_16: u8 = 126;
pub(super) const LEN_64: u8 = 127;
/// The first byte of a frame that is a message by itself, which is most of them.
pub(super) const FINAL_TEXT: u8 = FIN | 0x1;
pub(super) const FINAL_BINARY: u8 = FIN | 0x2;

/// What a frame is (§5.2, §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// Close.
    Close = 0x8,
    /// Ping.
    Ping = 0x9,
    /// Pong.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with this number, unless it is a reserved one.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Close, Ping or Pong (§5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Reserved bit 1: the message (or frame) is compressed, if an extension says so (RFC 7692 §6).
    pub rsv1: bool,
    /// Reserved bit 2.
    pub rsv2: bool,
    /// Reserved bit 3.
    pub rsv3: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes, below 2⁶³.
    pub len: u64,
}

impl Header {
    /// A final, unmasked frame without reserved bits.
    pub const fn new(opcode: Opcode, len: u64) -> Self {
        Self { fin: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None, len }
    }

    /// Reads a header from the front of `bytes`: itself and its length, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// Whatever is wrong whoever sent it: a reserved opcode, a fragmented or over-long control frame, a length that is not
    /// minimal or overflows. The first wrong byte decides, however few bytes follow it; what depends on role, extensions and
    /// the frames before is [`Decoder`](super::Decoder)'s to check.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        Self::decode_with(bytes, |_, _, _| Ok(()), |_| Ok(()))
    }

    /// `first` is asked about the first byte (opcode, FIN, RSV bits), `second` about the mask bit of the second,
    /// so that the byte order of errors is kept.
    #[inline(always)]
    pub(super) fn decode_with(
        bytes: &[u8],
        first: impl FnOnce(Opcode, bool, Rsv) -> Result<(), ProtocolError>,
        second: impl FnOnce(bool) -> Result<(), ProtocolError>,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&b0) = bytes.first() else { return Ok(None) };
        let fin = b0 & FIN != 0;
        let opcode = Opcode::from_bits(b0 & 0x0F).ok_or(ProtocolError::ReservedOpcode(b0 & 0x0F))?;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        first(opcode, fin, Rsv(b0))?;

        let Some(&b1) = bytes.get(1) else { return Ok(None) };
        let masked = b1 & MASK != 0;
        let short = b1 & !MASK;
        second(masked)?;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlTooLong);
        }
        if matches!(opcode, Opcode::Close) && short == 1 {
            return Err(ProtocolError::CloseOfOneByte);
        }

        let (len, end) = match short {
            LEN_16 => {
                let Some(&[a, b]) = bytes.get(2..).and_then(|b| b.first_chunk()) else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes([a, b]));
                if len < u64::from(LEN_16) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (len, 4)
            }
            LEN_64 => {
                match bytes.get(2..).unwrap_or_default() {
                    [0x80..=0xFF, ..] => return Err(ProtocolError::LengthOverflow),
                    // It would have fitted 16 bits.
                    [0, 0, 0, 0, 0, 0, ..] => return Err(ProtocolError::NonMinimalLength),
                    _ => {}
                }
                let Some(&wide) = bytes.get(2..).and_then(|b| b.first_chunk()) else { return Ok(None) };
                let len = u64::from_be_bytes(wide);
                (len, 10)
            }
            short => (u64::from(short), 2),
        };

        let (mask, end) = if masked {
            let Some(&key) = bytes.get(end..).and_then(|b| b.first_chunk()) else { return Ok(None) };
            (Some(key), end + 4)
        } else {
            (None, end)
        };
        let Rsv(bits) = Rsv(b0);
        let header = Self {
            fin,
            rsv1: bits & RSV1 != 0,
            rsv2: bits & RSV2 != 0,
            rsv3: bits & RSV3 != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, end)))
    }

    /// The header on the wire, with the shortest form of the length.
    #[inline]
    pub fn encode(&self) -> HeaderBytes {
        let mut out = HeaderBytes { bytes: [0; MAX_HEADER], len: 0 };
        self.write(|bytes| out.push(bytes));
        out
    }

    /// As [`encode`](Self::encode), behind what `target` holds.
    #[inline]
    pub(crate) fn append(&self, target: &mut Vec<u8>) {
        self.write(|bytes| target.extend_from_slice(bytes));
    }

    #[inline(always)]
    fn write(&self, mut put: impl FnMut(&[u8])) {
        let flag = |on, bit| if on { bit } else { 0 };
        let b0 = self.opcode.bits()
            | flag(self.fin, FIN)
            | flag(self.rsv1, RSV1)
            | flag(self.rsv2, RSV2)
            | flag(self.rsv3, RSV3);
        let masked = flag(self.mask.is_some(), MASK);
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len @ 0..LEN_16), _) => put(&[b0, masked | len]),
            (_, Ok(len)) => {
                let [a, b] = len.to_be_bytes();
                put(&[b0, masked | LEN_16, a, b]);
            }
            _ => {
                put(&[b0, masked | LEN_64]);
                put(&self.len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            put(&key);
        }
    }
}

/// The reserved bits of a first byte.
#[derive(Clone, Copy)]
pub(super) struct Rsv(u8);

impl Rsv {
    pub(super) fn none(self) -> bool {
        self.0 & (RSV1 | RSV2 | RSV3) == 0
    }

    pub(super) fn only_first(self) -> bool {
        self.0 & (RSV1 | RSV2 | RSV3) == RSV1
    }
}

/// An encoded header: 2 to 14 bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl HeaderBytes {
    fn push(&mut self, more: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + more.len()].copy_from_slice(more);
        // `more` is a length or a key: 2, 4 or 8 bytes.
        self.len += u8::try_from(more.len()).unwrap_or(0);
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_was_encoded_is_decoded_once_it_is_all_there() {
        for opcode in [Opcode::Continuation, Opcode::Text, Opcode::Binary] {
            for len in [0, 125, 126, 65_535, 65_536, (1 << 63) - 1] {
                for mask in [None, Some([1, 2, 3, 4])] {
                    for bits in 0..16 {
                        let [fin, rsv1, rsv2, rsv3] = [8, 4, 2, 1].map(|bit| bits & bit != 0);
                        let header = Header { fin, rsv1, rsv2, rsv3, opcode, mask, len };
                        let bytes = header.encode();
                        for end in 0..bytes.len() {
                            assert_eq!(Header::decode(&bytes[..end]), Ok(None), "{header:?} up to {end}");
                        }
                        assert_eq!(Header::decode(&bytes), Ok(Some((header, bytes.len()))));
                    }
                }
            }
        }
        assert_eq!(Header::decode(&[0x83]), Err(ProtocolError::ReservedOpcode(3)));
    }
}
