//! A second opinion on a stream of frames: slow, simple, and written from RFC 6455 without a look at the decoder.

use std::borrow::Cow;

use sansocket::{CloseCode, CloseFrame, Data, Delivery, Event, Kind, Message, Role};
use sansocket_tests::wire::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

/// What a receiver lets pass.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub frame: u64,
    pub message: u64,
    pub fragments: usize,
}

impl Limits {
    /// The defaults of [`sansocket::Config`].
    pub const DEFAULT: Self = Self { frame: 1 << 20, message: 1 << 20, fragments: 16_384 };
}

/// What a stream of frames says.
#[derive(Debug, Default)]
pub struct Expected {
    /// The events; of a message that is handed out in pieces one, with what has come of it.
    pub events: Vec<Event<'static>>,
    /// The close code of the fault that ends it.
    pub fault: Option<u16>,
    pub pings: Vec<Vec<u8>>,
    /// The Close that ends it.
    pub close: Option<CloseFrame<'static>>,
}

struct Open {
    kind: Kind,
    bytes: Vec<u8>,
    declared: u64,
    fragments: usize,
    /// Where in `Expected::events` the pieces go.
    event: Option<usize>,
}

struct Header {
    fin: bool,
    opcode: u8,
    key: [u8; 4],
    len: u64,
}

/// What an endpoint in `role` makes of `stream`.
pub fn decode(role: Role, limits: Limits, delivery: Delivery, mut stream: &[u8]) -> Expected {
    let mut expected = Expected::default();
    let mut open = None;
    while expected.fault.is_none() && expected.close.is_none() {
        let (header, rest) = match header(role, open.is_some(), stream) {
            Ok(Some(read)) => read,
            Ok(None) => break,
            Err(code) => {
                expected.fault = Some(code);
                break;
            }
        };
        let here = usize::try_from(header.len).unwrap_or(usize::MAX).min(rest.len());
        let complete = u64::try_from(here).unwrap() == header.len;
        let (payload, rest) = rest.split_at(here);
        let payload: Vec<_> =
            payload.iter().zip(header.key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        if header.opcode & 0x8 != 0 {
            if complete {
                expected.control(header.opcode, payload);
            }
        } else if let Err(code) = expected.data(&header, &mut open, limits, delivery, &payload, complete) {
            expected.fault = Some(code);
        }
        if !complete {
            break;
        }
        stream = rest;
    }
    expected
}

/// The first header in `bytes` and what is behind it. The first byte that cannot be right is the fault.
fn header(role: Role, within: bool, bytes: &[u8]) -> Result<Option<(Header, &[u8])>, u16> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
    let possible = first & 0x70 == 0
        && match opcode {
            CONTINUATION => within,
            TEXT | BINARY => !within,
            CLOSE | PING | PONG => fin,
            _ => false,
        };
    if !possible {
        return Err(1002);
    }
    let Some((second, rest)) = rest.split_first() else { return Ok(None) };
    let (masked, short) = (second & 0x80 != 0, second & 0x7F);
    if masked != (role == Role::Server) || opcode & 0x8 != 0 && short > 125 || opcode == CLOSE && short == 1 {
        return Err(1002);
    }
    let (len, least, rest) = match short {
        126 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*len)), 126, rest)
        }
        127 => {
            // The first byte that cannot be right is the fault, whatever follows.
            if matches!(rest, [0x80..=0xFF, ..] | [0, 0, 0, 0, 0, 0, ..]) {
                return Err(1002);
            }
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*len), 0x1_0000, rest)
        }
        len => (u64::from(len), 0, rest),
    };
    if len < least || len >> 63 != 0 {
        return Err(1002);
    }
    let (key, rest) = match masked {
        true => {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (*key, rest)
        }
        false => ([0; 4], rest),
    };
    Ok(Some((Header { fin, opcode, key, len }, rest)))
}

impl Expected {
    fn control(&mut self, opcode: u8, payload: Vec<u8>) {
        match opcode {
            PING => {
                self.pings.push(payload.clone());
                self.events.push(Event::Ping(Cow::Owned(payload)));
            }
            PONG => self.events.push(Event::Pong(Cow::Owned(payload))),
            _ => match close_frame(&payload) {
                Ok(frame) => {
                    self.events.push(Event::Close(frame.clone()));
                    self.close = Some(frame);
                }
                Err(code) => self.fault = Some(code),
            },
        }
    }

    /// A data frame with what is there of its payload.
    fn data(
        &mut self,
        header: &Header,
        within: &mut Option<Open>,
        limits: Limits,
        delivery: Delivery,
        payload: &[u8],
        complete: bool,
    ) -> Result<(), u16> {
        let kind = if header.opcode == TEXT { Kind::Text } else { Kind::Binary };
        let open =
            within.get_or_insert(Open { kind, bytes: Vec::new(), declared: 0, fragments: 0, event: None });
        open.declared = open.declared.saturating_add(header.len);
        open.fragments += 1;
        if header.len > limits.frame || open.declared > limits.message {
            return Err(1009);
        }
        if open.fragments > limits.fragments {
            return Err(1008);
        }
        let before = open.bytes.len();
        open.bytes.extend_from_slice(payload);
        let fault = if open.kind == Kind::Text { first_impossible(&open.bytes) } else { None };
        let last = complete && header.fin;
        let unfinished = open.kind == Kind::Text && last && std::str::from_utf8(&open.bytes).is_err();
        let fault = fault.or_else(|| unfinished.then_some(open.bytes.len()));
        let sound = fault.unwrap_or(open.bytes.len());
        let ended = last && fault.is_none();
        if delivery == Delivery::Streaming && (sound > before || ended) {
            let at = *open.event.get_or_insert(self.events.len());
            let payload = Cow::Owned(open.bytes[..sound].to_vec());
            let data = Event::Data(Data { kind: open.kind, payload, first: true, last: ended });
            match self.events.get_mut(at) {
                Some(event) => *event = data,
                None => self.events.push(data),
            }
        }
        if fault.is_some() {
            return Err(1007);
        }
        if ended
            && let Some(open) = within.take()
            && delivery == Delivery::Whole
        {
            self.events.push(Event::Message(match open.kind {
                Kind::Text => Message::Text(Cow::Owned(String::from_utf8(open.bytes).unwrap())),
                Kind::Binary => Message::Binary(Cow::Owned(open.bytes)),
            }));
        }
        Ok(())
    }
}

fn close_frame(payload: &[u8]) -> Result<CloseFrame<'static>, u16> {
    let [high, low, reason @ ..] = payload else { return Ok(CloseFrame::empty()) };
    let code = u16::from_be_bytes([*high, *low]);
    if !may_be_sent(code) {
        return Err(1002);
    }
    let reason = String::from_utf8(reason.to_vec()).map_err(|_| 1007_u16)?;
    Ok(CloseFrame::new(CloseCode::new(code).unwrap(), reason).unwrap())
}

/// §7.4 and the IANA registry.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The index of the first byte that no valid text could have there.
pub fn first_impossible(bytes: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(bytes).err()?;
    error.error_len()?;
    (error.valid_up_to()..bytes.len())
        .find(|at| std::str::from_utf8(&bytes[..=*at]).is_err_and(|error| error.error_len().is_some()))
}
