//! What a stream of frames says (RFC 6455 §5), read slowly and without the library's decoder.

use sansocket::{Kind, Role};

use crate::inflate::Naive;
use crate::wire::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Its payload.
    Close(Vec<u8>),
    /// What comes is to be failed with this code.
    Fault(u16),
}

/// Reads what one endpoint writes.
#[derive(Debug)]
pub struct Reader {
    masked: bool,
    max_message: usize,
    max_fragments: usize,
    inflates: Option<Naive>,
    bytes: Vec<u8>,
    open: Option<Open>,
    /// Bytes of whole frames that it has read.
    pub read: usize,
    over: bool,
}

#[derive(Debug, Default)]
struct Open {
    first: u8,
    payload: Vec<u8>,
    fragments: usize,
}

impl Reader {
    pub fn new(writer: Role, max_message: usize, max_fragments: usize, compresses: bool) -> Self {
        Self {
            masked: writer == Role::Client,
            max_message,
            max_fragments,
            inflates: compresses.then(|| Naive::new(32 << 10)),
            bytes: Vec::new(),
            open: None,
            read: 0,
            over: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn is_between_frames(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Nothing behind a Close or a fault.
    pub fn next_item(&mut self) -> Option<Item> {
        while !self.over {
            match self.frame() {
                Ok(Some(Some(item))) => {
                    self.over = matches!(item, Item::Close(_));
                    return Some(item);
                }
                Ok(Some(None)) => {}
                Ok(None) => return None,
                Err(code) => {
                    self.over = true;
                    return Some(Item::Fault(code));
                }
            }
        }
        None
    }

    /// Whether there was a frame, and what is complete with it.
    fn frame(&mut self) -> Result<Option<Option<Item>>, u16> {
        let Some(first) = self.bytes.first().copied() else { return Ok(None) };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0F);
        let may_be_compressed = self.inflates.is_some() && matches!(opcode, TEXT | BINARY);
        let is_possible = match opcode {
            CONTINUATION => self.open.is_some(),
            TEXT | BINARY => self.open.is_none(),
            CLOSE | PING | PONG => fin,
            _ => false,
        };
        if !is_possible || rsv != 0 && !(rsv == 0x40 && may_be_compressed) {
            return Err(1002);
        }
        let Some(second) = self.bytes.get(1).copied() else { return Ok(None) };
        let is_control = opcode & 0x08 != 0;
        let short = usize::from(second & 0x7F);
        if (second & 0x80 != 0) != self.masked || is_control && short > 125 || opcode == CLOSE && short == 1 {
            return Err(1002);
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = 2 + extended + if self.masked { 4 } else { 0 };
        if self.bytes.len() < head {
            return Ok(None);
        }
        let len = match extended {
            0 => short,
            n => self.bytes[2..2 + n].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        if !is_control {
            let (before, fragments) =
                self.open.as_ref().map_or((0, 0), |open| (open.payload.len(), open.fragments));
            if before + len > self.max_message {
                return Err(1009);
            }
            if fragments == self.max_fragments {
                return Err(1008);
            }
        }
        if self.bytes.len() < head + len {
            return Ok(None);
        }
        let key = if self.masked { self.bytes[head - 4..head].to_vec() } else { vec![0; 4] };
        let payload: Vec<_> = self.bytes[head..head + len]
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        self.bytes.drain(..head + len);
        self.read += head + len;
        match opcode {
            CLOSE => close(payload).map(|close| Some(Some(close))),
            PING => Ok(Some(Some(Item::Ping(payload)))),
            PONG => Ok(Some(Some(Item::Pong(payload)))),
            _ => self.data(first, payload).map(Some),
        }
    }

    fn data(&mut self, first: u8, payload: Vec<u8>) -> Result<Option<Item>, u16> {
        let open = self.open.get_or_insert_with(|| Open { first, ..Open::default() });
        open.fragments += 1;
        open.payload.extend(payload);
        if first & 0x80 == 0 {
            return Ok(None);
        }
        let Some(Open { first, payload, .. }) = self.open.take() else { return Ok(None) };
        let message = match &mut self.inflates {
            Some(naive) if first & 0x40 != 0 => naive.message(&payload).map_err(|_| 1007_u16)?.bytes,
            _ => payload,
        };
        match first & 0x0F {
            TEXT if core::str::from_utf8(&message).is_err() => Err(1007),
            TEXT => Ok(Some(Item::Message(Kind::Text, message))),
            _ => Ok(Some(Item::Message(Kind::Binary, message))),
        }
    }
}

/// §7.4 and the IANA registry.
fn close(payload: Vec<u8>) -> Result<Item, u16> {
    if let [high, low, reason @ ..] = &payload[..] {
        if !matches!(u16::from_be_bytes([*high, *low]), 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(1002);
        }
        core::str::from_utf8(reason).map_err(|_| 1007_u16)?;
    }
    Ok(Item::Close(payload))
}
