//! Reads what an endpoint writes and asserts what RFC 6455 asks of a sender, without the library's decoder.

use sansocket::Role;
use sansocket_tests::wire::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

use crate::reference::{first_impossible, may_be_sent};

/// What an endpoint wrote behind the opening handshake.
#[derive(Clone, Debug)]
pub struct Output {
    masked: bool,
    /// Bytes of a frame that is not complete.
    bytes: Vec<u8>,
    /// The message whose last fragment has not come.
    open: Option<(u8, Vec<u8>)>,
    /// Opcode and payload of each message.
    pub messages: Vec<(u8, Vec<u8>)>,
    pub pings: Vec<Vec<u8>>,
    pub pongs: Vec<Vec<u8>>,
    pub close: Option<Vec<u8>>,
}

impl Output {
    pub fn new(writer: Role) -> Self {
        Self {
            masked: writer == Role::Client,
            bytes: Vec::new(),
            open: None,
            messages: Vec::new(),
            pings: Vec::new(),
            pongs: Vec::new(),
            close: None,
        }
    }

    /// All that `writer` wrote, up to the end of a frame.
    pub fn read(writer: Role, bytes: &[u8]) -> Self {
        let mut output = Self::new(writer);
        output.push(bytes);
        assert!(output.is_between_frames(), "half a frame");
        output
    }

    pub fn is_between_frames(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        while let Some((first, payload, behind)) = split(rest, self.masked) {
            self.frame(first, payload);
            rest = behind;
        }
        self.bytes = rest.to_vec();
    }

    fn frame(&mut self, first: u8, payload: Vec<u8>) {
        assert_eq!(self.close, None, "a frame behind Close");
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        assert_eq!(first & 0x70, 0, "a reserved bit");
        match opcode {
            CLOSE | PING | PONG => {
                assert!(fin && payload.len() <= 125, "control frames are short and whole");
                match opcode {
                    PING => self.pings.push(payload),
                    PONG => self.pongs.push(payload),
                    _ => {
                        assert!(is_close_payload(&payload), "Close with {payload:?}");
                        self.close = Some(payload);
                    }
                }
            }
            CONTINUATION | TEXT | BINARY => {
                let (kind, mut message) = match self.open.take() {
                    None if opcode != CONTINUATION => (opcode, Vec::new()),
                    Some(open) if opcode == CONTINUATION => open,
                    open => panic!("opcode {opcode} within {open:?}"),
                };
                message.extend(payload);
                match fin {
                    true => {
                        assert!(kind != TEXT || std::str::from_utf8(&message).is_ok(), "text is UTF-8");
                        self.messages.push((kind, message));
                    }
                    false => self.open = Some((kind, message)),
                }
            }
            _ => panic!("reserved opcode {opcode}"),
        }
    }

    /// For the end: a message that was not finished is the beginning of a valid one.
    pub fn check_unfinished(&self) {
        if let Some((TEXT, text)) = &self.open {
            assert_eq!(first_impossible(text), None, "text is UTF-8");
        }
    }
}

fn is_close_payload(payload: &[u8]) -> bool {
    match payload {
        [] => true,
        [high, low, reason @ ..] => {
            may_be_sent(u16::from_be_bytes([*high, *low])) && std::str::from_utf8(reason).is_ok()
        }
        [_] => false,
    }
}

/// The first frame in `bytes`, if it is all there: its first byte, its payload, and what is behind it.
fn split(bytes: &[u8], masked: bool) -> Option<(u8, Vec<u8>, &[u8])> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80 != 0, masked, "a client masks, a server does not");
    let (len, rest) = match second & 0x7F {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from(u16::from_be_bytes(*len));
            assert!(len > 125, "not the shortest length");
            (len, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 0xFFFF, "not the shortest length");
            (len, rest)
        }
        len => (u64::from(len), rest),
    };
    let (key, rest) = if masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).unwrap())?;
    Some((*first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect(), rest))
}
