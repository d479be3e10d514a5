//! What one end of a connection is sent after the opening handshake.

use core::ops::Range;

use sansocket::Role;
use sansocket::extension::Negotiated;
use sansocket_tests::compressed::RSV1;

/// The end that receives a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    /// The longest message it takes.
    pub(crate) max_message: u32,
    pub(crate) compression: Option<Negotiated>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) setup: Setup,
    pub(crate) bytes: Vec<u8>,
}

/// A frame, as its header has it, whether that is valid or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV and opcode.
    pub(crate) first: u8,
    /// The seven bits of the length that come first.
    pub(crate) short: u8,
    /// The length that is declared.
    pub(crate) declared: u64,
    pub(crate) key: Option<[u8; 4]>,
    /// What there is of the payload, unmasked.
    pub(crate) payload: Vec<u8>,
    /// Where the frame is in the stream.
    pub(crate) range: Range<usize>,
    /// All of its header is there.
    pub(crate) has_header: bool,
    /// All of it is there.
    pub(crate) whole: bool,
}

impl Stream {
    /// The frames one after the other; the last may not be whole.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let frame = Frame::read(&self.bytes, at);
            at = frame.range.end;
            frames.push(frame);
        }
        frames
    }

    /// The beginning of it.
    pub(crate) fn up_to(&self, end: usize) -> Self {
        Self { setup: self.setup, bytes: self.bytes[..end].to_vec() }
    }

    /// With zeros at its end, so that its last frame is whole, or at least its header, if that would take too
    /// many.
    pub(crate) fn completed(&self) -> Self {
        let mut stream = self.clone();
        while let Some(last) = stream.frames().pop().filter(|last| !last.whole) {
            let missing = if last.has_header { last.declared - last.payload.len() as u64 } else { 1 };
            let Some(missing) = usize::try_from(missing).ok().filter(|missing| *missing < MOST) else {
                break;
            };
            stream.bytes.resize(stream.bytes.len() + missing, 0);
        }
        stream
    }
}

/// No more zeros than this.
const MOST: usize = 2 << 20;

impl Frame {
    fn read(bytes: &[u8], start: usize) -> Self {
        let all = &bytes[start..];
        let second = all.get(1).copied().unwrap_or(0);
        let short = second & 0x7F;
        let extended: usize = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = all.get(2..2 + extended);
        let declared = match length {
            Some([]) => u64::from(short),
            Some(length) => length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
            None => 0,
        };
        let key_end = 2 + extended + if second & 0x80 == 0 { 0 } else { 4 };
        let key = all.get(2 + extended..key_end).and_then(|key| key.try_into().ok());
        let payload = all.get(key_end..).unwrap_or_default();
        let len = usize::try_from(declared).unwrap_or(usize::MAX).min(payload.len());
        let has_header = all.len() >= key_end.max(2);
        let whole = has_header && len as u64 == declared;
        let mut payload = payload[..len].to_vec();
        mask(&mut payload, key);
        let end = (start + key_end + len).min(bytes.len());
        Self { first: all[0], short, declared, key, payload, range: start..end, has_header, whole }
    }

    pub(crate) fn fin(&self) -> bool {
        self.first & 0x80 != 0
    }

    pub(crate) fn rsv1(&self) -> bool {
        self.first & RSV1 != 0
    }

    /// Its length could have been told in fewer bytes.
    pub(crate) fn is_too_long_a_header(&self) -> bool {
        matches!((self.short, self.declared), (126, 0..=125) | (127, 0..=0xFFFF))
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    pub(crate) fn is_control(&self) -> bool {
        self.opcode() & 0x08 != 0
    }
}

/// Masks or unmasks.
pub(crate) fn mask(payload: &mut [u8], key: Option<[u8; 4]>) {
    if let Some(key) = key {
        payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= key[i % 4]);
    }
}
