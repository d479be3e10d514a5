//! Two ends that compress, or not, as the dice have it: every message arrives as it was sent, and in order.

use std::collections::VecDeque;

use sansocket::deflate::{Pool, Strategy};
use sansocket::extension::{Extension, Negotiated, WindowBits};
use sansocket::{
    Cause, CloseCode, Compression, Config, DeflateFrameFragments, Delivery, Event, Kind, Message, Prepared,
    Role, SendError, Side, State,
};
use sansocket_tests::compressed::agreed;
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::pair::{Dice, peer};
use sansocket_tests::{Pair, ROLES, START};

const SEEDS: u64 = 32;
const STEPS: usize = 500;

/// What goes in one direction.
#[derive(Default)]
struct Direction {
    /// Sent, and not yet there.
    on_its_way: VecDeque<Message<'static>>,
    /// The message that is being sent in pieces, and its kind.
    open: Option<(Kind, Vec<u8>)>,
    /// The rest of it.
    rest: Vec<u8>,
    /// What has come of a message that comes in pieces.
    partial: Option<Vec<u8>>,
    arrived: usize,
    /// Sent in fewer bytes than they have.
    shortened: usize,
}

struct Run {
    dice: Dice,
    pair: Pair,
    pool: Option<Box<Pool>>,
    /// To the client, and to the server.
    to: [Direction; 2],
}

fn index(role: Role) -> usize {
    usize::from(role == Role::Server)
}

fn is(dice: &mut Dice, one_in: usize) -> bool {
    dice.below(one_in) == 0
}

fn compression(dice: &mut Dice) -> Compression {
    let bits = |dice: &mut Dice| WindowBits::new(dice.pick(&[8, 9, 10, 12, 15, 15, 15])).unwrap();
    Compression::new()
        .min_size(dice.pick(&[0, 0, 64, 1000]))
        .text(!is(dice, 10))
        .binary(!is(dice, 10))
        .level(dice.pick(&[0, 1, 6, 6, 9]))
        .mem_level(dice.pick(&[1, 8, 9]))
        .strategy(dice.pick(&[Strategy::Default, Strategy::Default, Strategy::HuffmanOnly, Strategy::Rle]))
        .server_no_context_takeover(is(dice, 3))
        .client_no_context_takeover(is(dice, 3))
        .server_max_window_bits(bits(dice))
        .client_max_window_bits(bits(dice))
        .deflate_frame_fragments(dice.pick(&[DeflateFrameFragments::Auto, DeflateFrameFragments::PerFrame]))
}

fn config(dice: &mut Dice) -> Config {
    Config::new()
        .compression(Some(compression(dice)))
        .delivery(dice.pick(&[Delivery::Whole, Delivery::Streaming]))
        .auto_fragment(dice.pick(&[None, None, Some(1), Some(100), Some(5000)]))
        .high_water(dice.pick(&[1, 1000, 64 << 10]))
        .max_fragments(u32::MAX)
}

fn bytes(dice: &mut Dice, kind: Kind) -> Vec<u8> {
    let len = match dice.below(20) {
        0 => 0,
        1..6 => dice.below(100),
        6..19 => dice.below(5000),
        _ => dice.below(100_000),
    };
    match (kind, dice.below(3)) {
        (Kind::Text, 0) => "aß€😀".repeat(len / 10).into_bytes(),
        (_, 0 | 1) => json(dice, len),
        (Kind::Text, _) => {
            noise(dice, len).into_iter().map(|byte| char::from(b' ' + byte % 64)).collect::<String>().into()
        }
        (Kind::Binary, _) => noise(dice, len),
    }
}

fn message(kind: Kind, bytes: Vec<u8>) -> Message<'static> {
    match kind {
        Kind::Text => Message::text(String::from_utf8(bytes).unwrap()),
        Kind::Binary => Message::binary(bytes),
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let [client, server] = [config(&mut dice), config(&mut dice)];
        let mut pair = Pair::connecting(&client, &server);
        if seed % 4 == 3 {
            // What is not negotiated by a client of ours unless it is told to.
            let extension = dice.pick(&[Extension::XWebkitDeflateFrame, Extension::DeflateFrame]);
            let mut agreement = Negotiated::new(extension);
            agreement.server_no_context_takeover = is(&mut dice, 3);
            agreement.client_no_context_takeover = is(&mut dice, 3);
            pair = Pair::open(&client, &server);
            pair.client.connection = agreed(Role::Client, &client, agreement);
            pair.server.connection = agreed(Role::Server, &server, agreement);
        }
        pair.run();
        for end in [&mut pair.client, &mut pair.server] {
            assert!(end.connection.agreed().unwrap().compression().is_some());
            end.take_events();
        }
        Self { dice, pair, pool: Some(Box::default()), to: [Direction::default(), Direction::default()] }
    }

    fn step(&mut self) {
        let role = self.dice.pick(&ROLES);
        match self.dice.below(32) {
            0..9 => self.send(role),
            9..14 => self.push(role),
            14 => {
                let payload = vec![b'p'; self.dice.below(126)];
                let sent = self.pair.end(role).connection.ping(&payload);
                assert!(matches!(sent, Ok(()) | Err(SendError::Full)));
            }
            15 => {
                let on = !is(&mut self.dice, 8);
                self.pair.end(role).connection.set_compression(on);
            }
            16 => {
                let config = config(&mut self.dice);
                self.pair.end(role).connection.set_options(START, &config);
            }
            17 => self.pair.end(role).connection.release_memory(),
            18 => self.pair.end(role).connection.pause(),
            19 => self.lend(role),
            _ => {
                self.pair.end(role).connection.resume(START);
                let most = self.dice.pick(&[1, 2, 10, 100, 1000, 100_000]);
                self.pair.carry(role, most);
            }
        }
        self.collect();
    }

    fn send(&mut self, role: Role) {
        let to = index(peer(role));
        if self.to[to].open.is_some() {
            let refused = self.pair.end(role).connection.send("x");
            assert!(matches!(refused, Err(SendError::MessageInProgress)));
            return;
        }
        let kind = self.dice.pick(&[Kind::Text, Kind::Binary]);
        let message = message(kind, bytes(&mut self.dice, kind));
        let connection = &mut self.pair.end(role).connection;
        let before = connection.buffered();
        let sent = match self.dice.below(6) {
            0 | 4 => connection.send(message.borrow()),
            1 | 5 => connection.send(message.clone()),
            2 => connection.send_plain(message.clone()),
            _ => connection.send_prepared(&match kind {
                Kind::Text => Prepared::text(message.as_text().unwrap()),
                Kind::Binary => Prepared::binary(message.as_bytes().to_vec()),
            }),
        };
        match sent {
            Ok(()) => {
                let is_short = connection.buffered() - before < message.len();
                self.to[to].shortened += usize::from(is_short);
                self.to[to].on_its_way.push_back(message);
            }
            Err(error) => assert_eq!(error, SendError::Full),
        }
    }

    /// Begins a message in pieces, or goes on with it, or ends it.
    fn push(&mut self, role: Role) {
        let direction = &mut self.to[index(peer(role))];
        let connection = &mut self.pair.end(role).connection;
        let Some((kind, sent)) = &mut direction.open else {
            let kind = self.dice.pick(&[Kind::Text, Kind::Binary]);
            let begun =
                if is(&mut self.dice, 4) { connection.begin_plain(kind) } else { connection.begin(kind) };
            match begun {
                Ok(()) => {
                    direction.open = Some((kind, Vec::new()));
                    direction.rest = bytes(&mut self.dice, kind);
                }
                Err(error) => assert_eq!(error, SendError::Full),
            }
            return;
        };
        let len = self.dice.pick(&[0, 1, 100, 10_000, usize::MAX, usize::MAX]).min(direction.rest.len());
        let is_last = len == direction.rest.len();
        let piece = &direction.rest[..len];
        match if is_last { connection.finish(piece) } else { connection.push(piece) } {
            Ok(()) => {
                sent.extend(direction.rest.drain(..len));
                if is_last {
                    direction.on_its_way.push_back(message(*kind, core::mem::take(sent)));
                    direction.open = None;
                }
            }
            Err(error) => assert_eq!(error, SendError::Full),
        }
    }

    /// Both ends take turns with one pool, and keep it for some time.
    fn lend(&mut self, role: Role) {
        for role in ROLES {
            if let Some(pool) = self.pair.end(role).connection.reclaim_codecs() {
                self.pool = Some(pool);
            }
        }
        if let Some(pool) = self.pool.take() {
            self.pool = self.pair.end(role).connection.lend_codecs(pool);
        }
    }

    /// Compares what has come with what was sent.
    fn collect(&mut self) {
        for role in ROLES {
            for event in self.pair.end(role).take_events() {
                let direction = &mut self.to[index(role)];
                let arrived = match event {
                    Event::Message(message) => message,
                    Event::Data(data) => {
                        assert_eq!(data.first, direction.partial.is_none());
                        let partial = direction.partial.get_or_insert_default();
                        partial.extend_from_slice(&data.payload);
                        if !data.last {
                            continue;
                        }
                        message(data.kind, direction.partial.take().unwrap())
                    }
                    Event::Ping(_) | Event::Pong(_) => continue,
                    other => panic!("{other:?}"),
                };
                let sent = direction.on_its_way.pop_front().expect("a message that nobody sent");
                assert!(arrived == sent, "{} bytes for {}", arrived.len(), sent.len());
                direction.arrived += 1;
            }
        }
    }

    /// How many messages arrived, and how many of them were compressed to less.
    fn finish(mut self) -> [usize; 2] {
        for role in ROLES {
            self.pair.end(role).connection.resume(START);
        }
        self.pair.run();
        while self.to.iter().any(|direction| direction.open.is_some()) {
            for role in ROLES {
                if self.to[index(peer(role))].open.is_some() {
                    self.push(role);
                }
            }
            self.pair.run();
        }
        self.collect();
        for direction in &self.to {
            assert!(direction.on_its_way.is_empty() && direction.partial.is_none());
        }
        self.pair.client.connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        self.pair.run();
        for (end, side) in [(&self.pair.client, Side::Local), (&self.pair.server, Side::Remote)] {
            assert_eq!(end.connection.state(), State::Closed);
            assert_eq!(end.disconnect().unwrap().cause(), &Cause::Closed(side));
            assert!(end.disconnect().unwrap().is_clean());
        }
        let [client, server] = self.to;
        [client.arrived + server.arrived, client.shortened + server.shortened]
    }
}

#[test]
fn every_message_arrives_as_it_was_sent_whatever_happens_between() {
    let mut total = [0, 0];
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        let [arrived, shortened] = run.finish();
        total = [total[0] + arrived, total[1] + shortened];
    }
    assert!(total[0] > 2000 && total[1] > 500, "{total:?}");
}
