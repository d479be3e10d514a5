//! Two endpoints, a transport that carries bytes when it is told to, and whatever happens at either end: each
//! must do what its model does.

use sansocket::{
    Agreed, Cause, CloseCode, CloseFrame, Config, Connection, Data, Delivery, Disconnect, Endpoint, Event,
    Input, Instant, Kind, Role, SendError, State, Transport,
};

use super::ops::{HOSTILE, Op, Start};
use super::reader::{Item, Reader};
use super::settings::Settings;
use super::{End, Model, Phase, Queue, Why};
use crate::compressed::PER_MESSAGE;
use crate::pair::peer;
use crate::{ROLES, SEED, START, wire};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The client's and the server's.
    pub ends: [End; 2],
    pub received: [usize; 2],
}

#[derive(Debug)]
pub struct World {
    ends: [Side; 2],
    start: Start,
    now: Instant,
    /// Counts messages, so that no two look alike.
    stamp: usize,
}

#[derive(Debug)]
struct Side {
    connection: Connection,
    model: Model,
    settings: Settings,
    /// Reads what it writes.
    writes: Reader,
    /// Reads what it took.
    reads: Reader,
    /// What it wrote and the other end has not read.
    pipe: Vec<u8>,
    /// What came and it did not take.
    inbox: Vec<u8>,
    /// How much of what it has to write is in the transport, and not acknowledged.
    shown: usize,
    /// Bytes that were acknowledged, and how many when its Close is.
    acknowledged: usize,
    close_at: Option<usize>,
    /// A message that comes in pieces.
    partial: Option<(Kind, Vec<u8>)>,
    messages: usize,
    /// It writes no more; it reads no more.
    shut: bool,
    ended: bool,
    /// Something happened to it that no peer did.
    cut: bool,
}

impl World {
    pub fn new(start: Start) -> Self {
        let ends = [0, 1].map(|i| Side::new(ROLES[i], start.settings[i], start.compresses));
        Self { ends, start, now: START, stamp: 0 }
    }

    pub fn apply(&mut self, role: Role, op: &Op) {
        let (i, now) = (index(role), self.now);
        let queue = self.ends[i].queue();
        let side = &mut self.ends[i];
        let (connection, model) = (&mut side.connection, &mut side.model);
        match *op {
            Op::Send(kind, len) => {
                let message = message(&mut self.stamp, len);
                let sent = match kind {
                    Kind::Text => connection.send(core::str::from_utf8(&message).unwrap()),
                    Kind::Binary => connection.send(&message[..]),
                };
                assert_eq!(sent, model.send(queue, kind, &message));
            }
            Op::Begin(kind) => assert_eq!(connection.begin(kind), model.begin(queue, kind)),
            Op::Push { len, last } => {
                let piece = message(&mut self.stamp, len);
                let pushed = if last { connection.finish(&piece) } else { connection.push(&piece) };
                assert_eq!(pushed, model.push(queue, &piece, last));
            }
            Op::Ping(len) => {
                let payload = message(&mut self.stamp, len);
                assert_eq!(connection.ping(&payload), model.ping(queue, &payload));
            }
            Op::Pong => {
                let payload = [b"unasked ", &message(&mut self.stamp, 9)[..]].concat();
                assert_eq!(connection.pong(&payload), model.pong(queue, &payload));
            }
            Op::Probe => assert_eq!(connection.probe(now), model.probe(now, queue)),
            Op::Close(code) => {
                let frame = match code.and_then(CloseCode::new) {
                    Some(code) => CloseFrame::new(code, "because").unwrap(),
                    None => CloseFrame::empty(),
                };
                assert_eq!(connection.close(now, frame.clone()), model.close(now, &payload(&frame)));
            }
            Op::Pause => {
                connection.pause();
                model.pause();
            }
            Op::Resume => {
                connection.resume(now);
                model.resume(now);
                side.receive(now);
            }
            Op::ReleaseMemory => connection.release_memory(),
            Op::Reclaim => {
                let block = connection.reclaim_output();
                assert!(block.is_none() || queue.ready == 0);
            }
            Op::Write(n) => side.write(n),
            Op::Acknowledge(n) => side.acknowledge(n, now),
            Op::WriteAll => side.write_all(now),
            Op::Read(n) => self.read(role, n),
            Op::ReadAll => self.read(role, usize::MAX),
            Op::Wait(time) => self.now = now + time,
            Op::WaitForDeadline => self.wait_for_deadline(),
            Op::AskTime => side.ask_time(now),
            Op::Eof => {
                side.cut = true;
                side.end();
            }
            Op::WriteFailed => {
                side.cut = true;
                side.model.write_failed(now, side.is_through());
                side.connection.write_failed(now);
                side.shown = 0;
            }
            Op::TransportFailed => {
                side.cut = true;
                side.model.transport_failed(side.is_through());
                side.connection.transport_failed();
            }
            Op::Hostile(which) => self.attack(role, HOSTILE[which]),
        }
        self.check();
    }

    /// Everything comes to an end.
    pub fn finish(mut self) -> Outcome {
        for role in ROLES {
            self.apply(role, &Op::Resume);
        }
        if self.start.dead {
            // Nobody tells anybody, so both have to want it.
            for role in ROLES {
                self.apply(role, &Op::Close(Some(1000)));
            }
        } else {
            self.settle();
            if self.ends.iter().all(|side| side.model.phase == Phase::Open && !side.cut) {
                for side in &self.ends {
                    assert!(side.model.is_through(), "something was not sent: {:?}", side.model);
                    assert!(side.inbox.is_empty() && side.pipe.is_empty(), "something was not received");
                    assert!(side.reads.is_between_frames());
                }
            }
            self.apply(self.start.closer, &Op::Close(Some(1000)));
        }
        for _ in 0..100 {
            if !self.start.dead {
                self.settle();
            }
            if self.ends.iter().all(|side| side.model.phase == Phase::Closed) {
                return self.outcome();
            }
            self.wait_for_deadline();
            for role in ROLES {
                self.apply(role, &Op::AskTime);
            }
        }
        panic!("it does not end: {self:#?}");
    }

    fn outcome(self) -> Outcome {
        let ends = self.ends.each_ref().map(|side| side.model.end.clone().expect("a verdict"));
        let [one, other] = &ends;
        // Whoever knows the other's Close knows what it said.
        for (one, other) in [(one, other), (other, one)] {
            if let (Some(sent), Some(received)) = (&one.sent, &other.received) {
                assert_eq!(sent, received);
            }
        }
        // Two that are left alone agree, unless one could not write its Close in time.
        let well = |side: &Side| {
            let closed = |end: &End| matches!(end.why, Why::Closed(_)) && end.sent.is_some();
            !side.cut && side.model.end.as_ref().is_some_and(closed)
        };
        if self.ends.iter().all(well) {
            assert!(ends.iter().all(|end| end.received.is_some()), "{ends:?}");
        }
        Outcome { received: self.ends.each_ref().map(|side| side.messages), ends }
    }

    /// Until nothing moves.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let moved = |world: &Self| {
                world.ends.each_ref().map(|side| (side.acknowledged, side.pipe.len(), side.ended))
            };
            let before = moved(self);
            for role in ROLES {
                self.apply(role, &Op::WriteAll);
                self.apply(role, &Op::ReadAll);
            }
            if moved(self) == before {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn wait_for_deadline(&mut self) {
        let next =
            self.ends.iter().filter_map(|side| side.connection.poll_timeout()).map(|next| next.at).min();
        self.now = next.map_or(self.now, |next| next.max(self.now));
    }

    /// Carries bytes to the end in `role`, and the end of them.
    fn read(&mut self, role: Role, most: usize) {
        let now = self.now;
        let [client, server] = &mut self.ends;
        let (to, from) = if role == Role::Client { (client, server) } else { (server, client) };
        let most = most.min(from.pipe.len());
        let bytes: Vec<_> = from.pipe.drain(..most).collect();
        if !to.ended && to.model.phase != Phase::Closed {
            to.inbox.extend(bytes);
            to.receive(now);
        }
        if from.pipe.is_empty() && from.shut && to.inbox.is_empty() && !to.ended {
            to.end();
        }
    }

    /// Something gets between the frames that come to the end in `role`.
    fn attack(&mut self, role: Role, (first, payload): (u8, &[u8])) {
        let from = &mut self.ends[index(peer(role))];
        if from.writes.is_between_frames() && !from.shut {
            let key = (role == Role::Server).then_some(wire::KEY);
            from.pipe.extend(wire::raw(first, key, payload));
            from.cut = true;
        }
    }

    /// What is true at any time.
    fn check(&mut self) {
        for side in &mut self.ends {
            side.check(self.now);
        }
    }
}

impl Side {
    fn new(role: Role, settings: Settings, compresses: bool) -> Self {
        let endpoint = match role {
            Role::Client => Endpoint::Client(SEED),
            Role::Server => Endpoint::Server,
        };
        let agreed = match compresses {
            true => Agreed::new().with_compression(PER_MESSAGE),
            false => Agreed::new(),
        };
        let config: Config = settings.config(compresses);
        Self {
            connection: Connection::established(endpoint, &config, agreed, START),
            model: Model::new(role, settings, START),
            settings,
            writes: Reader::new(role, usize::MAX, usize::MAX, compresses),
            reads: Reader::new(peer(role), settings.max_message, settings.max_fragments, compresses),
            pipe: Vec::new(),
            inbox: Vec::new(),
            shown: 0,
            acknowledged: 0,
            close_at: None,
            partial: None,
            messages: 0,
            shut: false,
            ended: false,
            cut: false,
        }
    }

    fn queue(&self) -> Queue {
        Queue { ready: self.connection.transmit().len(), all: self.connection.buffered() }
    }

    /// Its Close is written, or it has none.
    fn is_through(&self) -> bool {
        let sent = self.model.end.as_ref().is_some_and(|end| end.sent.is_some());
        !sent || self.close_at.is_some_and(|at| at <= self.acknowledged)
    }

    fn write(&mut self, most: usize) {
        let bytes = self.connection.transmit().to_vec();
        let bytes = &bytes[self.shown..];
        let bytes = &bytes[..most.min(bytes.len())];
        self.pipe.extend_from_slice(bytes);
        self.shown += bytes.len();
        self.writes.push(bytes);
        while let Some(item) = self.writes.next_item() {
            self.model.says(&item);
            if let Item::Close(_) = item {
                self.close_at = Some(self.writes.read);
            }
        }
    }

    fn acknowledge(&mut self, most: usize, now: Instant) {
        let (n, before) = (most.min(self.shown), self.queue());
        self.connection.transmitted(n);
        self.shown -= n;
        self.acknowledged += n;
        self.model.wrote(n, before, self.queue());
        self.receive(now);
    }

    fn write_all(&mut self, now: Instant) {
        while self.shown > 0 || !self.connection.transmit().is_empty() {
            self.write(usize::MAX);
            self.acknowledge(usize::MAX, now);
        }
    }

    fn ask_time(&mut self, now: Instant) {
        let (queue, through, was) = (self.queue(), self.is_through(), self.connection.state());
        self.connection.handle_timeout(now);
        let stays = self.connection.state() == State::Open;
        let pings = was == State::Open && stays && self.queue().all > queue.all;
        self.model.timeout(now, queue, through, stays, pings);
        let next = self.connection.poll_timeout();
        assert!(next.is_none_or(|next| next.at > now), "{next:?} is still due");
    }

    fn end(&mut self) {
        self.ended = true;
        self.model.eof(self.is_through());
        assert_eq!(self.connection.receive_eof(), None);
    }

    /// Takes what it can of what has come.
    fn receive(&mut self, now: Instant) {
        loop {
            let (queue, came) = (self.queue(), self.inbox.clone());
            let mut input = Input::new(&mut self.inbox);
            let event = self.connection.receive(now, &mut input).map(Event::into_owned);
            let rest = input.remaining();
            let taken = came.len() - rest;
            self.inbox.clear();
            self.inbox.extend_from_slice(&came[taken..]);
            assert!(taken == 0 || !self.model.is_deaf(queue), "it should not listen");
            if taken > 0 {
                self.model.heard(now);
            }
            if matches!(self.model.phase, Phase::Draining { .. } | Phase::Closed) {
                assert_eq!((event, rest), (None, 0), "behind the end");
                return;
            }
            self.reads.push(&came[..taken]);
            let item = self.reads.next_item();
            if let Some(item) = &item {
                self.model.received(now, item, queue);
            }
            let is_last = event.is_none();
            self.compare(event, item);
            if is_last {
                let listens = self.model.listens(self.queue());
                assert!(self.inbox.is_empty() || !listens, "it left {} bytes", self.inbox.len());
                return;
            }
        }
    }

    /// An event says what was there to take.
    fn compare(&mut self, event: Option<Event<'static>>, item: Option<Item>) {
        let told = match event {
            None => None,
            Some(Event::Message(message)) => {
                assert_eq!(self.settings.delivery, Delivery::Whole);
                Some(Item::Message(message.kind(), message.into_bytes()))
            }
            Some(Event::Data(data)) => self.piece(data),
            Some(Event::Ping(payload)) => Some(Item::Ping(payload.into_owned())),
            Some(Event::Pong(payload)) => Some(Item::Pong(payload.into_owned())),
            Some(Event::Close(frame)) => Some(Item::Close(payload(&frame))),
            Some(other) => panic!("{other:?}"),
        };
        self.messages += usize::from(matches!(told, Some(Item::Message(..))));
        // Of a fault there is no event.
        let expected = item.filter(|item| !matches!(item, Item::Fault(_)));
        assert!(told == expected, "told {told:02x?}, and there came {expected:02x?}");
    }

    fn piece(&mut self, Data { kind, payload, first, last }: Data<'static>) -> Option<Item> {
        assert_eq!((self.settings.delivery, first), (Delivery::Streaming, self.partial.is_none()));
        let partial = self.partial.get_or_insert((kind, Vec::new()));
        assert_eq!(partial.0, kind);
        partial.1.extend_from_slice(&payload);
        let (kind, message) = self.partial.take_if(|_| last)?;
        Some(Item::Message(kind, message))
    }

    /// It is where its model is.
    fn check(&mut self, now: Instant) {
        let (connection, model, queue) = (&self.connection, &self.model, self.queue());
        assert_eq!(connection.state(), model.state());
        assert_eq!(connection.is_paused(), model.paused);
        assert_eq!(connection.can_send(), model.can_send(queue));
        let silent = matches!(connection.can_send(), Err(SendError::Closed));
        assert_eq!(silent, model.phase != Phase::Open);
        let dropped = model.phase == Phase::Open || model.has_last_word || queue.all == queue.ready;
        assert!(dropped, "fragments wait that the peer discards");
        match connection.transport() {
            Transport::Close(verdict) => {
                let end = model.end.as_ref();
                assert_eq!(Some(&told(verdict)), end, "{model:?}");
                assert_eq!((connection.poll_timeout(), queue.all), (None, 0));
                self.shut = true;
                self.shown = 0;
            }
            Transport::ShutdownWrite => {
                assert!(matches!(model.phase, Phase::Draining { shutdown: true, .. }));
                assert_eq!(queue.all, 0);
                self.shut = true;
            }
            Transport::Open => {
                let shuts = matches!(model.phase, Phase::Draining { shutdown: true, .. }) && queue.all == 0;
                assert!(!shuts && model.phase != Phase::Closed, "it is to end the transport");
            }
        }
        if let Some(at) = self.model.deadline() {
            let next = self.connection.poll_timeout().expect("a deadline").at;
            assert!(next <= at, "asks the time at {next:?}, and something is due at {at:?}, {now:?}");
        }
    }
}

/// What a verdict says.
fn told(verdict: &Disconnect) -> End {
    let why = match *verdict.cause() {
        Cause::Closed(side) => Why::Closed(side),
        Cause::Lost => Why::Lost,
        Cause::Violation(error) => Why::Violation(error.close_code().get()),
        Cause::TimedOut(timer) => Why::TimedOut(timer),
        ref other => panic!("{other:?}"),
    };
    End { why, sent: verdict.sent().map(payload), received: verdict.received().map(payload) }
}

fn payload(frame: &CloseFrame<'_>) -> Vec<u8> {
    match frame.code() {
        Some(code) => [&code.get().to_be_bytes(), frame.reason().as_bytes()].concat(),
        None => Vec::new(),
    }
}

/// Of this length, and like no other if there is room for that.
fn message(stamp: &mut usize, len: usize) -> Vec<u8> {
    *stamp += 1;
    format!("{stamp:07} ").bytes().cycle().take(len).collect()
}

fn index(role: Role) -> usize {
    usize::from(role == ROLES[1])
}
