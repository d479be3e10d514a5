//! What is measured: cells, and the streams they are made of.

use sansocket_bench::wire;

const KIB: usize = 1024;

/// A pass has about so many bytes: what fits into the caches that a core has for itself, and some reads' worth.
const STREAM: usize = 256 * KIB;
/// and at least so many messages, or
const MESSAGES: usize = 8;
/// so many if they are large.
const LARGE_MESSAGES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Messages are handed out.
    Receive,
    /// And sent back.
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content {
    Binary,
    Ascii,
    MultiByte,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reads {
    /// As many bytes as are there, up to this many: frames lie across the ends of reads.
    Bytes(usize),
    /// A frame, no more and no less.
    Message,
}

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub act: Act,
    pub content: Content,
    pub reads: Reads,
    /// A message's length in bytes.
    pub size: usize,
}

impl Cell {
    pub fn all() -> impl Iterator<Item = Self> {
        let mut cells = Vec::new();
        for act in [Act::Receive, Act::Echo] {
            for content in [Content::Binary, Content::Ascii, Content::MultiByte] {
                for reads in [Reads::Bytes(64 * KIB), Reads::Bytes(4 * KIB), Reads::Message] {
                    for size in [16, 125, KIB, 16 * KIB, 64 * KIB, KIB * KIB] {
                        cells.push(Self { act, content, reads, size });
                    }
                }
            }
        }
        cells.into_iter()
    }

    /// Whether its instructions are counted too.
    pub fn is_counted(&self) -> bool {
        self.content != Content::Ascii
            && self.reads == Reads::Bytes(64 * KIB)
            && [16, 125, KIB, 64 * KIB].contains(&self.size)
    }

    pub fn family(&self) -> String {
        let act = match self.act {
            Act::Receive => "receive",
            Act::Echo => "echo",
        };
        let content = match self.content {
            Content::Binary => "binary",
            Content::Ascii => "ASCII text",
            Content::MultiByte => "multi-byte text",
        };
        let reads = match self.reads {
            Reads::Bytes(bytes) => format!("{} KiB reads", bytes / KIB),
            Reads::Message => "one message per read".into(),
        };
        format!("memory {act} {content} {reads}")
    }

    pub fn name(&self) -> String {
        match self.size {
            0..KIB => format!("{} B", self.size),
            size if size < KIB * KIB => format!("{} KiB", size / KIB),
            size => format!("{} MiB", size / KIB / KIB),
        }
    }

    /// How many messages a pass has.
    pub fn messages(&self) -> usize {
        let least = if self.size < KIB * KIB { MESSAGES } else { LARGE_MESSAGES };
        (STREAM / self.frame().len()).max(least)
    }

    /// A message's frame, as a client sends it.
    pub fn frame(&self) -> Vec<u8> {
        wire::masked(self.opcode(), &self.payload())
    }

    /// The same, as a server does.
    pub fn answer(&self) -> Vec<u8> {
        wire::unmasked(self.opcode(), &self.payload())
    }

    pub fn is_text(&self) -> bool {
        self.content != Content::Binary
    }

    fn opcode(&self) -> u8 {
        if self.is_text() { wire::TEXT } else { wire::BINARY }
    }

    pub fn payload(&self) -> Vec<u8> {
        let text = match self.content {
            Content::Binary => return (0..=250).rev().cycle().take(self.size).collect(),
            Content::Ascii => "The quick brown fox jumps over the lazy dog. ",
            // Two, three and four bytes, and ASCII between them, as in what people write.
            Content::MultiByte => "Žluťoučký kůň; съешь же ещё булок 色は匂へど 🦊 ",
        };
        let mut payload = String::new();
        for char in text.chars().cycle() {
            if payload.len() + char.len_utf8() > self.size {
                break;
            }
            payload.push(char);
        }
        // Where the next character has no room.
        payload.extend(std::iter::repeat_n('.', self.size - payload.len()));
        payload.into_bytes()
    }
}
