//! Streams that a connection may receive, good and bad, long and short: what is said of any stream is tried
//! on these.

mod autobahn;
mod fuzzing;
mod generated;
mod hostile;

use core::fmt;
use std::collections::HashSet;

use sansocket::extension::Negotiated;
use sansocket::{CloseCode, Compression, Config, Connection, Delivery, Role};

use crate::compressed::{PER_FRAME, PER_MESSAGE, agreed, anew};
use crate::splits::Program;
use crate::{START, open};

/// What a peer sends, and the connection that receives it.
pub struct Stream {
    pub name: String,
    pub bytes: Vec<u8>,
    pub program: Program,
    /// What it costs to receive it, in bytes: more than its length if more is to do than that says.
    pub cost: usize,
    connection: Box<dyn Fn(Delivery) -> Connection>,
}

impl Stream {
    pub fn connection(&self, delivery: Delivery) -> Connection {
        (self.connection)(delivery)
    }

    fn new(name: impl fmt::Display, bytes: Vec<u8>, make: impl Fn(Delivery) -> Connection + 'static) -> Self {
        let connection = Box::new(make);
        Self { name: name.to_string(), cost: bytes.len(), bytes, program: Program::Listens, connection }
    }

    /// Frames behind the opening handshake.
    fn frames(name: impl fmt::Display, bytes: Vec<u8>, setup: Setup) -> Self {
        let name = format!("{name}, {setup:?}");
        let program = setup.program;
        let cost = bytes.len() + setup.cost();
        Self { program, cost, ..Self::new(name, bytes, move |delivery| setup.connection(delivery)) }
    }
}

/// All of them, by where they come from. No two are the same.
pub fn corpus() -> [(&'static str, Vec<Stream>); 5] {
    let mut seen = HashSet::new();
    [
        ("hostile", hostile::streams()),
        ("autobahn", autobahn::streams()),
        ("seeds", fuzzing::seeds()),
        ("found", fuzzing::found()),
        ("generated", generated::streams()),
    ]
    .map(|(source, mut streams)| {
        streams.retain(|stream| seen.insert((stream.name.clone(), stream.bytes.clone())));
        (source, streams)
    })
}

/// An open connection.
#[derive(Clone, Copy, Debug)]
struct Setup {
    role: Role,
    program: Program,
    compression: Option<Negotiated>,
    variant: Variant,
}

#[derive(Clone, Copy, Debug)]
enum Variant {
    Default,
    /// Everything that waits is written before anything is received.
    OneByteAtMost,
    SmallLimits,
    NoPongs,
    Counts,
    /// It has closed the connection.
    Closes,
    /// So much of its own waits that only the newest Ping is answered.
    Sends,
    /// More than may be queued waits in fragments, and control frames pass it.
    SendsFragments,
}

impl Setup {
    const fn new(role: Role) -> Self {
        Self { role, program: Program::Listens, compression: None, variant: Variant::Default }
    }

    /// One of all there are: they come in turn.
    fn nth(role: Role, n: usize) -> Self {
        use Variant::{Closes, Counts, Default, NoPongs, OneByteAtMost, Sends, SendsFragments, SmallLimits};
        // Those that write much come less often.
        const VARIANTS: [Variant; 16] = [
            Default,
            OneByteAtMost,
            SmallLimits,
            Closes,
            Default,
            NoPongs,
            Counts,
            OneByteAtMost,
            Default,
            SmallLimits,
            Sends,
            Default,
            Closes,
            OneByteAtMost,
            Counts,
            SendsFragments,
        ];
        let program = if n.is_multiple_of(2) { Program::Echoes } else { Program::Listens };
        let n = n / 2 % VARIANTS.len();
        Self { program, variant: VARIANTS[n], ..Self::new(role) }
    }

    /// Both ends have agreed to compress, in one way or another.
    fn compressing(self, n: usize) -> Self {
        Self {
            compression: Some([PER_MESSAGE, anew(PER_MESSAGE), PER_FRAME, anew(PER_FRAME)][n % 4]),
            ..self
        }
    }

    /// Measured, beside what a stream's length says.
    fn cost(self) -> usize {
        let own = match self.variant {
            Variant::Sends => 1500,
            Variant::SendsFragments => 9000,
            _ => 0,
        };
        own + self.compression.map_or(0, |_| 1500)
    }

    fn connection(self, delivery: Delivery) -> Connection {
        let config = Config::new().delivery(delivery);
        let config = match self.variant {
            Variant::Default | Variant::Closes | Variant::Sends => config,
            Variant::OneByteAtMost => config.high_water(1),
            Variant::SmallLimits => config.max_frame(50).max_message(100).max_fragments(3),
            Variant::NoPongs => config.auto_pong(false),
            Variant::Counts => config.stats(true),
            Variant::SendsFragments => config.auto_fragment(Some(4096)).high_water(18_000),
        };
        let mut connection = match self.compression {
            Some(compression) => {
                agreed(self.role, &config.compression(Some(Compression::new().min_size(0))), compression)
            }
            None => open(self.role, &config),
        };
        match self.variant {
            Variant::Closes => connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap(),
            Variant::Sends => connection.send(&[7; 4090][..]).unwrap(),
            Variant::SendsFragments => connection.send(&[7; 20_000][..]).unwrap(),
            _ => {}
        }
        connection
    }
}
