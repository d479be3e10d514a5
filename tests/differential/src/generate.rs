//! Random streams: messages, control frames and the end of a connection as they should be, then now and then
//! a mistake.

use sansocket::Role;
use sansocket::deflate::{Deflater, Params, Strategy};
use sansocket::extension::{Negotiated, WindowBits};
use sansocket_tests::compressed::{PER_MESSAGE, RSV1};
use sansocket_tests::inflate::{TAIL, Writer, json, noise, stored};
use sansocket_tests::pair::Dice;
use sansocket_tests::wire::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

use crate::stream::{Setup, Stream, mask};

/// The stream of this number; the same for the same seed.
pub(crate) fn stream(dice: &mut Dice) -> Stream {
    let setup = setup(dice);
    let mut generator = Generator::new(dice, setup);
    generator.conversation();
    for _ in 0..generator.dice.pick(&[0, 0, 0, 1, 1, 2, 3]) {
        generator.mistake();
    }
    let mut bytes: Vec<u8> = generator.drafts.iter().flat_map(Draft::encode).collect();
    if one_in(dice, 12) {
        damage(dice, &mut bytes);
    }
    if one_in(dice, 6) {
        bytes.truncate(dice.below(bytes.len() + 1));
    }
    Stream { setup, bytes }
}

fn one_in(dice: &mut Dice, n: usize) -> bool {
    dice.below(n) == 0
}

fn setup(dice: &mut Dice) -> Setup {
    let role = dice.pick(&sansocket_tests::ROLES);
    let compression = (!one_in(dice, 3)).then(|| compression(dice));
    let max_message = if one_in(dice, 12) { 200 } else { 1 << 20 };
    Setup { role, max_message, compression }
}

fn compression(dice: &mut Dice) -> Negotiated {
    let mut bits =
        || WindowBits::new(dice.pick(&[8, 9, 9, 10, 11, 12, 13, 14, 15, 15, 15])).unwrap_or(WindowBits::MAX);
    let mut agreed = PER_MESSAGE;
    (agreed.server_max_window_bits, agreed.client_max_window_bits) = (bits(), bits());
    agreed.server_no_context_takeover = one_in(dice, 3);
    agreed.client_no_context_takeover = one_in(dice, 3);
    agreed
}

struct Generator<'d> {
    dice: &'d mut Dice,
    role: Role,
    sender: Option<Sender>,
    drafts: Vec<Draft>,
}

/// The end that compresses.
struct Sender {
    deflater: Deflater,
    window: usize,
    /// It begins each message anew.
    anew: bool,
}

/// A frame that is not sent yet.
#[derive(Clone, Debug)]
struct Draft {
    first: u8,
    key: Option<[u8; 4]>,
    /// 126 or 127 for a length that is not in its shortest form.
    form: Option<u8>,
    /// A length that is not that of the payload.
    declared: Option<u64>,
    payload: Vec<u8>,
}

impl Draft {
    fn encode(&self) -> Vec<u8> {
        let len = self.declared.unwrap_or(self.payload.len() as u64);
        let masked = if self.key.is_some() { 0x80 } else { 0 };
        let shortest = match len {
            0..=125 => u8::try_from(len).unwrap_or(0),
            126..=0xFFFF => 126,
            _ => 127,
        };
        let form = self.form.unwrap_or(shortest).max(shortest);
        let len = len.to_be_bytes();
        let extended = match form {
            126 => &len[6..],
            127 => &len[..],
            _ => &[],
        };
        let mut payload = self.payload.clone();
        mask(&mut payload, self.key);
        let key = self.key.as_ref().map_or(&[][..], |key| key);
        [&[self.first, masked | form], extended, key, &payload].concat()
    }
}

impl<'d> Generator<'d> {
    fn new(dice: &'d mut Dice, setup: Setup) -> Self {
        let sender = setup.compression.map(|agreed| {
            let (window, anew) = match setup.role {
                Role::Server => (agreed.client_max_window_bits, agreed.client_no_context_takeover),
                Role::Client => (agreed.server_max_window_bits, agreed.server_no_context_takeover),
            };
            let strategy =
                dice.pick(&[Strategy::Default, Strategy::Default, Strategy::HuffmanOnly, Strategy::Rle]);
            let params = Params::new().window(window).level(dice.pick(&[0, 1, 6, 9])).strategy(strategy);
            Sender { deflater: Deflater::new(&params), window: 1 << window.get(), anew }
        });
        Self { dice, role: setup.role, sender, drafts: Vec::new() }
    }

    fn conversation(&mut self) {
        for _ in 0..=self.dice.below(8) {
            match self.dice.below(20) {
                0..13 => self.message(),
                13..18 => self.control(),
                _ => {
                    self.close();
                    if !one_in(self.dice, 3) {
                        return;
                    }
                }
            }
        }
    }

    fn draft(&mut self, first: u8, payload: Vec<u8>) {
        let key = (self.role == Role::Server).then(|| match one_in(self.dice, 8) {
            true => [0; 4],
            false => noise(self.dice, 4).try_into().unwrap_or_default(),
        });
        self.drafts.push(Draft { first, key, form: None, declared: None, payload });
    }

    fn control(&mut self) {
        let opcode = self.dice.pick(&[PING, PONG]);
        let len = if one_in(self.dice, 4) { self.dice.pick(&[0, 124, 125]) } else { self.dice.below(20) };
        let payload = noise(self.dice, len);
        self.draft(0x80 | opcode, payload);
    }

    fn close(&mut self) {
        let code: u16 = match self.dice.below(4) {
            0 => self.dice.pick(&[0, 999, 1004, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 1016]),
            1 => self.dice.pick(&[2999, 3000, 3999, 4000, 4999, 5000, 0xFFFF]),
            _ => self.dice.pick(&[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010]),
        };
        let mut payload = code.to_be_bytes().to_vec();
        match self.dice.below(8) {
            0 => payload.clear(),
            1 => payload.truncate(1),
            2 => payload.extend(noise(self.dice, 5)),
            3..5 => {
                payload.extend(text(self.dice, 122));
                payload.truncate(125);
            }
            5 => payload.extend(text(self.dice, 40)),
            _ => {}
        }
        self.draft(0x80 | CLOSE, payload);
    }

    fn message(&mut self) {
        let opcode = self.dice.pick(&[TEXT, BINARY]);
        let mut content = content(self.dice, opcode);
        if opcode == TEXT && one_in(self.dice, 20) {
            spoil(self.dice, &mut content);
        }
        let compressed = self.sender.is_some() && !one_in(self.dice, 4);
        let payload = if compressed { self.deflated(content) } else { content };
        let first = if compressed { RSV1 | opcode } else { opcode };
        self.fragments(first, payload);
    }

    /// A message with this payload, in one frame or several, and control frames between them.
    fn fragments(&mut self, first: u8, mut payload: Vec<u8>) {
        let count = if one_in(self.dice, 3) { 2 + self.dice.below(4) } else { 1 };
        for i in 1..=count {
            let rest = match i == count {
                true => Vec::new(),
                false => payload.split_off(self.dice.below(payload.len() + 1)),
            };
            let fin = if i == count { 0x80 } else { 0 };
            let opcode = if i == 1 { first } else { CONTINUATION };
            self.draft(fin | opcode, core::mem::replace(&mut payload, rest));
            if i < count && one_in(self.dice, 3) {
                if one_in(self.dice, 12) { self.close() } else { self.control() }
            }
        }
    }

    /// The payload of a compressed message: mostly what a compressor makes of `content`.
    fn deflated(&mut self, content: Vec<u8>) -> Vec<u8> {
        let Some(Sender { deflater, window, anew }) = &mut self.sender else { return content };
        if *anew && !one_in(self.dice, 20) {
            deflater.reset();
        }
        match self.dice.below(40) {
            0..2 => stored(&content),
            2..5 => blocks(self.dice, *window, &content),
            5 => Vec::new(),
            6 => noise(self.dice, content.len().min(50)),
            kind => {
                let mut payload = Vec::new();
                let (piece, rest) = content.split_at(self.dice.below(content.len() + 1));
                if one_in(self.dice, 4) {
                    deflater.piece(piece, &mut payload);
                    deflater.finish(rest, &mut payload);
                } else {
                    deflater.finish(&content, &mut payload);
                }
                match kind {
                    7 => payload.extend(TAIL),
                    8 => payload.truncate(self.dice.below(payload.len() + 1)),
                    9 => damage(self.dice, &mut payload),
                    _ => {}
                }
                payload
            }
        }
    }

    /// Something is wrong with one of the frames.
    fn mistake(&mut self) {
        let count = self.drafts.len();
        let at = self.dice.below(count);
        let draft = &mut self.drafts[at];
        match self.dice.below(17) {
            0 => draft.first ^= 0x80,
            1..3 => draft.first ^= 0x40,
            3 => draft.first ^= self.dice.pick(&[0x20, 0x10, 0x30, 0x70]),
            4 => draft.first = draft.first & 0xF0 | self.dice.pick(&[0, 1, 2, 3, 7, 8, 9, 10, 11, 15]),
            5 => draft.key = if draft.key.is_some() { None } else { Some([1, 2, 3, 4]) },
            6 => draft.form = self.dice.pick(&[Some(126), Some(127)]),
            7 => {
                let near = draft.payload.len() as u64;
                draft.declared =
                    Some(self.dice.pick(&[near + 1, near.saturating_sub(1), near + 300, 0, 125, 126]));
            }
            8 => {
                let huge =
                    [1 << 63, u64::MAX, (1 << 63) - 1, 1 << 32, 1 << 31, (1 << 20) + 1, 1 << 20, 0x1_0000];
                draft.declared = Some(self.dice.pick(&huge));
            }
            9 => damage(self.dice, &mut draft.payload),
            10 => draft.payload.truncate(self.dice.below(draft.payload.len() + 1)),
            11 => draft.payload.extend(noise(self.dice, 126)),
            12 => {
                let twice = draft.clone();
                self.drafts.insert(at, twice);
            }
            13 if count > 1 => _ = self.drafts.remove(at),
            14 => {
                let other = self.dice.below(count);
                self.drafts.swap(at, other);
            }
            15 => spoil(self.dice, &mut draft.payload),
            _ => {
                let payload = draft.payload.split_off(self.dice.below(draft.payload.len() + 1));
                let rest = Draft { first: draft.first & 0x80, payload, ..draft.clone() };
                draft.first &= 0x7F;
                self.drafts.insert(at + 1, rest);
            }
        }
    }
}

fn content(dice: &mut Dice, opcode: u8) -> Vec<u8> {
    let len = match dice.below(400) {
        0..32 => 0,
        32..240 => dice.below(30),
        240..360 => dice.below(126),
        360..380 => 120 + dice.below(20),
        380..396 => dice.below(1000),
        396 if one_in(dice, 4) => 65_530 + dice.below(10),
        397 if one_in(dice, 4) => dice.below(100_000),
        _ => dice.below(5000),
    };
    match (opcode, dice.below(3)) {
        (_, 0) => json(dice, len),
        (TEXT, _) => text(dice, len),
        (_, 1) => noise(dice, len),
        _ => vec![u8::try_from(dice.below(256)).unwrap_or(0); len],
    }
}

/// Characters of all lengths, of up to so many bytes together.
fn text(dice: &mut Dice, most: usize) -> Vec<u8> {
    let mut text = String::new();
    loop {
        let scalar = match dice.below(8) {
            0 => 0x80 + dice.below(0x780),
            1 => 0x800 + dice.below(0xF800),
            2 => 0x1_0000 + dice.below(0x10_0000),
            3 => dice.pick(&[0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x1_0000, 0x10_FFFF]),
            _ => 0x20 + dice.below(0x5F),
        };
        // None for a surrogate.
        let Some(next) = u32::try_from(scalar).ok().and_then(char::from_u32) else { continue };
        if text.len() + next.len_utf8() > most {
            return text.into_bytes();
        }
        text.push(next);
    }
}

/// Puts something into `text` that is not UTF-8 (RFC 3629), in most cases.
fn spoil(dice: &mut Dice, text: &mut Vec<u8>) {
    const BAD: [&[u8]; 14] = [
        b"\x80",
        b"\xBF",
        b"\xC0\x80",
        b"\xC1\xBF",
        b"\xE0\x80\x80",
        b"\xE0\x9F\xBF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF0\x8F\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF5\x80\x80\x80",
        b"\xFF",
        b"\xE2\x82",
        b"\xF0\x9F\x92",
    ];
    let bad = dice.pick(&BAD);
    let at = if one_in(dice, 3) { text.len() } else { dice.below(text.len() + 1) };
    text.splice(at..at, bad.iter().copied());
}

/// Blocks such as no compressor of ours makes: some end a stream, some repeat what is as far back as it may
/// be, or farther.
fn blocks(dice: &mut Dice, window: usize, content: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    for _ in 0..=dice.below(3) {
        let last = one_in(dice, 4);
        match dice.below(3) {
            0 => _ = writer.stored(last, &content[..content.len().min(1000)]),
            1 => _ = writer.fixed(last).literals(&content[..content.len().min(50)]).end(),
            _ => {
                let back = dice.pick(&[1, 2, 30, window - 1, window, window + 1, 2 * window]).min(32_768);
                let long = 3 + dice.below(256);
                let before = dice.pick(&[0, 0, 40, 600, 4200]);
                writer.stored(false, &noise(dice, before)).fixed(last).repeat(long, back).end();
            }
        }
        if last && one_in(dice, 2) {
            writer.align();
        }
    }
    if one_in(dice, 3) { writer.bytes() } else { writer.message() }
}

/// Flips, drops, puts in or repeats something.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    match dice.below(4) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => _ = bytes.remove(at),
        2 => bytes.insert(at, dice.pick(&[0x00, 0x7F, 0x80, 0xC1, 0xFF])),
        _ => {
            let part = bytes[at..].iter().take(1 + dice.below(20)).copied().collect::<Vec<_>>();
            bytes.splice(at..at, part);
        }
    }
}
