//! A client and a server, a clock that is moved by hand, and nothing between them but byte vectors.

use core::time::Duration;

use sansocket::{
    Accept, Agreed, ClientRequest, Config, Connection, Disconnect, Endpoint, Event, Input, Instant, Role,
    Transport,
};

use crate::{SEED, START};

/// Two connections and the bytes between them.
#[derive(Debug)]
pub struct Pair {
    pub client: End,
    pub server: End,
    pub now: Instant,
}

/// One connection, its transport, and what it reported.
#[derive(Debug)]
pub struct End {
    pub connection: Connection,
    /// What came and has not been taken.
    pub inbox: Vec<u8>,
    pub events: Vec<Event<'static>>,
    /// The peer's end of the transport is closed, and this end has been told.
    told_eof: bool,
    /// This end's writing direction is closed.
    shut: bool,
}

impl Pair {
    /// Both ends open.
    pub fn open(client: &Config, server: &Config) -> Self {
        Self {
            client: End::new(Connection::established(Endpoint::Client(SEED), client, Agreed::new(), START)),
            server: End::new(Connection::established(Endpoint::Server, server, Agreed::new(), START)),
            now: START,
        }
    }

    /// Both ends before the opening handshake; requests are accepted.
    pub fn connecting(client: &Config, server: &Config) -> Self {
        let request = ClientRequest::new("ws://example.com/").unwrap();
        Self {
            client: End::new(Connection::client(client, &request, SEED, START)),
            server: End::new(Connection::server(server, START)),
            now: START,
        }
    }

    /// The end in `role`.
    pub fn end(&mut self, role: Role) -> &mut End {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Moves bytes and ends of streams until nothing moves.
    pub fn run(&mut self) {
        while self.step(usize::MAX) {}
    }

    /// Lets each end write up to `most` bytes and the other read them; whether anything happened.
    pub fn step(&mut self, most: usize) -> bool {
        let one = transfer(&mut self.client, &mut self.server, self.now, most);
        let other = transfer(&mut self.server, &mut self.client, self.now, most);
        one || other
    }

    /// Lets the end in role `from` write up to `most` bytes and the other read what it can; whether anything happened.
    pub fn carry(&mut self, from: Role, most: usize) -> bool {
        match from {
            Role::Client => transfer(&mut self.client, &mut self.server, self.now, most),
            Role::Server => transfer(&mut self.server, &mut self.client, self.now, most),
        }
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            let next = [&self.client, &self.server]
                .iter()
                .filter_map(|end| end.connection.poll_timeout())
                .map(|d| d.at)
                .min();
            self.now = next.unwrap_or(end).min(end).max(self.now);
            self.client.connection.handle_timeout(self.now);
            self.server.connection.handle_timeout(self.now);
            self.run();
            if self.now >= end {
                return;
            }
        }
    }
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, inbox: Vec::new(), events: Vec::new(), told_eof: false, shut: false }
    }

    /// How it ended.
    pub fn disconnect(&self) -> Option<&Disconnect> {
        match self.connection.transport() {
            Transport::Close(disconnect) => Some(disconnect),
            Transport::Open | Transport::ShutdownWrite => None,
        }
    }

    /// The events since the last call.
    pub fn take_events(&mut self) -> Vec<Event<'static>> {
        core::mem::take(&mut self.events)
    }

    /// Takes what came, as far as the connection lets it.
    pub fn receive(&mut self, now: Instant) -> bool {
        let offered = self.inbox.len();
        let mut input = Input::new(&mut self.inbox);
        let mut happened = false;
        while let Some(event) = self.connection.receive(now, &mut input) {
            if let Event::Request(_) = event {
                self.connection.accept(now, Accept::new()).unwrap();
            }
            self.events.push(event.into_owned());
            happened = true;
        }
        self.inbox = input.into_rest().to_vec();
        happened || self.inbox.len() < offered
    }
}

fn transfer(from: &mut End, to: &mut End, now: Instant, most: usize) -> bool {
    let mut happened = false;
    let mut written = 0;
    while written < most && !from.connection.transmit().is_empty() {
        let mut part = from.connection.transmit().to_vec();
        part.truncate(most - written);
        from.connection.transmitted(part.len());
        written += part.len();
        // A closed end reads nothing any more.
        if to.disconnect().is_none() {
            to.inbox.extend(part);
        }
        happened = true;
    }
    let closing = matches!(from.connection.transport(), Transport::ShutdownWrite | Transport::Close(_));
    if !from.shut && closing && from.connection.transmit().is_empty() {
        from.shut = true;
        happened = true;
    }
    happened |= to.receive(now);
    if from.shut && !to.told_eof && to.inbox.is_empty() {
        to.told_eof = true;
        to.events.extend(to.connection.receive_eof());
        happened = true;
    }
    happened
}

/// The role at the other end.
pub fn peer(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
