//! Whole lives of connections: from the opening handshake to the verdict, as planned and at random.

use core::time::Duration;

use sansocket::{
    Agreed, Cause, CloseCode, CloseFrame, Config, Connection, Data, Delivery, Disconnect, Endpoint, Event,
    Input, Keepalive, Kind, Message, Role, SendError, Side, State, Transport,
};
use sansocket_tests::compressed::{self, DELIVERIES, PER_MESSAGE, deflate};
use sansocket_tests::pair::{Dice, peer};
use sansocket_tests::wire::{self, BINARY, PING, TEXT};
use sansocket_tests::{Pair, ROLES, SEED, START, open, receive, take_output};

#[test]
fn a_connection_lives_from_the_request_to_a_clean_end_4_to_7() {
    for role in ROLES {
        for most in [1, 7, usize::MAX] {
            let mut pair = Pair::connecting(&Config::new(), &Config::new());
            assert_eq!(pair.client.connection.state(), State::Connecting);
            assert_eq!(pair.client.connection.agreed(), None);
            while pair.step(most) {}
            assert!(matches!(pair.client.take_events()[..], [Event::Open(_)]));
            assert!(matches!(pair.server.take_events()[..], [Event::Request(_)]));
            for end in ROLES {
                assert_eq!(pair.end(end).connection.state(), State::Open);
                assert_eq!(pair.end(end).connection.agreed(), Some(&Agreed::new()));
                let connection = &mut pair.end(end).connection;
                connection.send("hello").unwrap();
                connection.begin(Kind::Text).unwrap();
                connection.push(b"in two ").unwrap();
                connection.ping(b"between").unwrap();
                connection.finish(b"pieces").unwrap();
                connection.send(&b"\0\xff"[..]).unwrap();
            }
            while pair.step(most) {}
            for end in ROLES {
                let mut events = pair.end(end).take_events();
                // The Pong may come anywhere behind the Ping that it answers.
                let pong = events.iter().position(|event| *event == Event::Pong(b"between".into())).unwrap();
                events.remove(pong);
                let expected = [
                    Event::Message(Message::from("hello")),
                    Event::Ping(b"between".into()),
                    Event::Message(Message::from("in two pieces")),
                    Event::Message(Message::from(&b"\0\xff"[..])),
                ];
                assert_eq!(events, expected);
            }
            pair.end(role).connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            while pair.step(most) {}
            for (end, side) in [(role, Side::Local), (peer(role), Side::Remote)] {
                assert_eq!(pair.end(end).connection.state(), State::Closed);
                let end = pair.end(end).disconnect().unwrap();
                assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(side), true));
            }
        }
    }
}

#[test]
fn an_established_connection_is_open_at_once_and_knows_what_was_agreed() {
    for role in ROLES {
        let endpoint = if role == Role::Client { Endpoint::Client(SEED) } else { Endpoint::Server };
        let agreed = Agreed::new().with_subprotocol("chat");
        let mut connection = Connection::established(endpoint, &Config::new(), agreed, START);
        assert_eq!((connection.role(), connection.state()), (role, State::Open));
        assert_eq!(connection.agreed().and_then(Agreed::subprotocol), Some("chat"));
        assert!(connection.transmit().is_empty() && connection.wants_read());
        assert_eq!(connection.can_send(), Ok(()));
        connection.send("x").unwrap();
        let frames = wire::parse(&take_output(&mut connection));
        assert_eq!((frames[0].masked, &frames[0].payload[..]), (role == Role::Client, &b"x"[..]));
    }
}

#[test]
fn another_delivery_begins_with_the_next_message_and_loses_nothing_of_this_one() {
    for role in ROLES {
        for (before, after) in
            [(Delivery::Whole, Delivery::Streaming), (Delivery::Streaming, Delivery::Whole)]
        {
            let stream =
                [wire::frame(role, TEXT, "first half, second half"), wire::frame(role, BINARY, "next")]
                    .concat();
            for cut in 1..stream.len() {
                let mut connection = open(role, &Config::new().delivery(before));
                let mut events = receive(&mut connection, START, &stream[..cut]).0;
                connection.set_options(START, &Config::new().delivery(after));
                events.extend(receive(&mut connection, START, &stream[cut..]).0);
                let mut bytes = Vec::new();
                for event in events {
                    match event {
                        Event::Message(message) => bytes.extend(message.into_bytes()),
                        Event::Data(data) => bytes.extend(data.payload.into_owned()),
                        other => panic!("{other:?}"),
                    }
                }
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(text, "first half, second halfnext", "{before:?} to {after:?} at {cut}");
            }
        }
    }
}

#[test]
fn what_a_connection_shows_in_a_log_has_neither_payloads_nor_seed() {
    let shows = |log: &str| log.contains("secret") || log.contains("115, 101, 99, 114");
    let secret = "secret".repeat(4000);
    for role in ROLES {
        let endpoint = || match role {
            Role::Client => Endpoint::Client((*b"secret, secret, secret, secret, ").into()),
            Role::Server => Endpoint::Server,
        };
        let log = format!("{:?}", endpoint());
        assert!(!shows(&log), "{log}");
        for (delivery, opcode) in DELIVERIES.into_iter().flat_map(|it| [(it, TEXT), (it, BINARY)]) {
            let config = Config::new().auto_fragment(Some(5000)).delivery(delivery);
            let agreed = Agreed::new().with_compression(PER_MESSAGE);
            let mut connection = Connection::established(endpoint(), &config, agreed, START);
            connection.send(&secret).unwrap();
            connection.send_plain(&secret[..10]).unwrap();
            connection.send_plain(&secret).unwrap();
            receive(&mut connection, START, &compressed::frame(role, Kind::Text, deflate(&secret)));
            receive(&mut connection, START, &wire::fragment(role, opcode, &secret));
            let ping = wire::frame(role, PING, "secret");
            let mut cut = ping[..ping.len() - 1].to_vec();
            let mut input = Input::new(&mut cut);
            for log in [format!("{input:?}"), format!("{connection:?}")] {
                assert!(!shows(&log), "{log}");
            }
            assert_eq!(connection.receive(START, &mut input), None);
            let log = format!("{connection:?}");
            assert!(!shows(&log), "{log}");
        }
    }
}

/// An echo server whose peer sends empty messages and does not read.
#[test]
fn empty_messages_behind_a_fragmented_one_count_as_queued() {
    for role in ROLES {
        let config = Config::new().auto_fragment(Some(1024)).hard_limit(64 << 10);
        let mut connection = open(role, &config);
        connection.send(vec![0; 40_000]).unwrap();
        let refused = (0..64 << 10).find_map(|_| connection.send("").err());
        assert_eq!(refused, Some(SendError::Full), "64 Ki frames are more than 64 KiB");
    }
}

/// Otherwise a driver goes on reading what nobody takes.
#[test]
fn a_connection_that_takes_no_more_input_wants_no_more_to_be_read() {
    for role in ROLES {
        let config = Config::new().auto_fragment(Some(1024));
        let mut connection = open(role, &config);
        connection.send(vec![0; 200_000]).unwrap();
        let (events, left) = receive(&mut connection, START, &wire::frame(role, TEXT, "data"));
        assert_eq!((events.len(), left > 0), (0, true), "it waits for its output to be written");
        assert!(!connection.wants_read());
        take_output(&mut connection);
        assert!(connection.wants_read());
    }
}

const HARD_LIMITS: [usize; 3] = [1000, 4096, 20_000];
const LONGEST: usize = 40_000;

/// What one end did and what came of it.
#[derive(Default)]
struct Log {
    /// The messages that `send` and its relatives took.
    sent: Vec<Vec<u8>>,
    /// What has been queued of one that is sent in pieces.
    pieces: Option<Vec<u8>>,
    /// The messages that came.
    got: Vec<Vec<u8>>,
    /// What has come of one.
    partial: Option<Vec<u8>>,
    close: Option<CloseFrame<'static>>,
    state: Option<State>,
    rank: u8,
    end: Option<Disconnect>,
    fragments: bool,
    /// The test itself ended this end's transport.
    cut: bool,
}

fn config(dice: &mut Dice, fragments: bool, delivery: Delivery) -> Config {
    let seconds = |dice: &mut Dice| Duration::from_secs(5 + dice.roll() % 60);
    let keepalive = match dice.below(4) {
        0 => Keepalive::HalfIdle,
        1 => Keepalive::AfterSilence(seconds(dice)),
        2 => Keepalive::Every(seconds(dice)),
        _ => Keepalive::Off,
    };
    let idle = (dice.below(3) > 0).then(|| seconds(dice));
    let pong = (dice.below(2) > 0).then(|| seconds(dice));
    Config::new()
        .hard_limit(dice.pick(&HARD_LIMITS))
        .high_water(dice.pick(&[1, 300, 5000, 64 << 10]))
        .auto_fragment(fragments.then(|| dice.pick(&[64, 500, 3000])))
        .delivery(delivery)
        .auto_pong(dice.below(4) > 0)
        .keepalive(keepalive)
        .idle_timeout(idle)
        .pong_timeout(pong)
        .close_timeout(Duration::from_secs(5))
}

fn message(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(20) {
        0 => dice.below(LONGEST),
        1..4 => dice.below(2000),
        _ => dice.below(30),
    };
    let stamp = dice.roll().to_le_bytes();
    let mut bytes: Vec<_> = stamp.into_iter().cycle().take(len).collect();
    // Half of them are text.
    if dice.below(2) == 0 {
        bytes.iter_mut().for_each(|byte| *byte &= 0x7F);
    }
    bytes
}

struct World {
    pair: Pair,
    logs: [Log; 2],
    dice: Dice,
    deliveries: [Delivery; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let fragments = [(); 2].map(|()| dice.below(3) == 0);
        let deliveries = [(); 2].map(|()| dice.pick(&[Delivery::Whole, Delivery::Streaming]));
        let [client, server] = [0, 1].map(|i| config(&mut dice, fragments[i], deliveries[i]));
        let pair = match dice.below(3) {
            0 => Pair::connecting(&client, &server),
            _ => Pair::open(&client, &server),
        };
        let logs = fragments.map(|fragments| Log { fragments, ..Log::default() });
        Self { pair, logs, dice, deliveries }
    }

    /// Does one thing at one end.
    fn act(&mut self) {
        let (now, i) = (self.pair.now, self.dice.below(2));
        let role = ROLES[i];
        let (dice, log) = (&mut self.dice, &mut self.logs[i]);
        let connection = &mut self.pair.end(role).connection;
        match dice.below(100) {
            0..22 => {
                let message = message(dice);
                let result = match core::str::from_utf8(&message) {
                    Ok(text) if dice.below(2) == 0 => connection.send(text),
                    _ if dice.below(2) == 0 => connection.try_send(message.clone()).map_err(|back| {
                        assert_eq!(back.message.as_bytes(), message);
                        back.error
                    }),
                    _ => connection.send(&message[..]),
                };
                assert!(log.pieces.is_none() || result.is_err());
                if result.is_ok() {
                    log.sent.push(message);
                }
            }
            22..26 => {
                if connection.begin(Kind::Binary).is_ok() {
                    log.pieces = Some(Vec::new());
                }
            }
            26..36 => {
                let (piece, last) = (message(dice), dice.below(3) == 0);
                let result = if last { connection.finish(&piece) } else { connection.push(&piece) };
                if result.is_ok() {
                    log.pieces.as_mut().unwrap().extend(piece);
                    if last {
                        log.sent.extend(log.pieces.take());
                    }
                }
            }
            36..42 => {
                let _ = connection.ping(&dice.roll().to_le_bytes());
            }
            42..44 => {
                let _ = connection.probe(now);
            }
            44..46 => {
                let _ = connection.pong(b"unasked");
            }
            46..48 => {
                let _ = connection.close(now, dice.pick(&[CloseCode::NORMAL_CLOSURE, CloseCode::GOING_AWAY]));
            }
            48..50 => connection.pause(),
            50..54 => connection.resume(now),
            54..56 => {
                let config = config(dice, log.fragments, self.deliveries[i]);
                connection.set_options(now, &config);
            }
            56..59 => connection.release_memory(),
            59..62 => {
                let block = connection.reclaim_output();
                if dice.below(2) == 0 {
                    let _ = connection.lend_output(block.unwrap_or_default());
                }
            }
            62 => {
                log.cut = true;
                assert_eq!(connection.receive_eof(), None);
            }
            63 => {
                log.cut = true;
                connection.transport_failed();
            }
            64..70 => {
                let nanos = dice.pick(&[1, 1_000_000, 1_000_000_000, 20_000_000_000]);
                self.pair.now = now + Duration::from_nanos(dice.roll() % nanos);
            }
            70..76 => connection.handle_timeout(now),
            _ => {
                let most = dice.pick(&[1, 3, 50, 1000, usize::MAX]);
                self.pair.carry(role, most);
            }
        }
    }

    /// What must be true at any time.
    fn check(&mut self) {
        for (i, role) in ROLES.into_iter().enumerate() {
            let (log, end) = (&mut self.logs[i], self.pair.end(role));
            for event in end.take_events() {
                assert_eq!(log.close, None, "an event behind Close: {event:?}");
                match event {
                    Event::Message(message) => log.got.push(message.into_bytes()),
                    Event::Data(Data { payload, first, last, .. }) => {
                        assert_eq!(first, log.partial.is_none());
                        log.partial.get_or_insert_default().extend_from_slice(&payload);
                        if last {
                            log.got.extend(log.partial.take());
                        }
                    }
                    Event::Close(frame) => log.close = Some(frame),
                    Event::Ping(_)
                    | Event::Pong(_)
                    | Event::Request(_)
                    | Event::Open(_)
                    | Event::Rejected(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            let connection = &end.connection;
            assert!(log.state <= Some(connection.state()), "a state does not come back");
            log.state = Some(connection.state());
            let rank = match connection.transport() {
                Transport::Open => 0,
                Transport::ShutdownWrite => 1,
                Transport::Close(_) => 2,
            };
            assert!(log.rank <= rank, "the transport's end only comes nearer");
            log.rank = rank;
            assert!(rank == 0 || connection.buffered() == 0, "nothing is written behind the end");
            assert_eq!(rank == 2, connection.state() == State::Closed);
            // One message over the hard limit, its frames' headers, Pongs and a Close.
            assert!(connection.buffered() < HARD_LIMITS[2] + LONGEST + 8 * 1024, "{}", connection.buffered());
            if rank == 2 {
                assert_eq!(connection.poll_timeout(), None);
                assert!(!connection.wants_read());
                let verdict = end.disconnect().cloned();
                assert!(log.end.is_none() || log.end == verdict, "{:?}, then {verdict:?}", log.end);
                assert_eq!(verdict.as_ref().unwrap().received(), log.close.as_ref());
                log.end = verdict;
            }
        }
        for [from, to] in [[0, 1], [1, 0]] {
            let (sent, got) = (&self.logs[from].sent, &self.logs[to].got);
            assert!(got.len() <= sent.len() && got[..] == sent[..got.len()], "lost, doubled or out of order");
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        for _ in 0..2 {
            for role in ROLES {
                let now = self.pair.now;
                let connection = &mut self.pair.end(role).connection;
                connection.resume(now);
                let _ = connection.close(now, CloseFrame::empty());
            }
            self.pair.pass(Duration::from_secs(15));
            self.check();
        }
        for [from, to] in [[0, 1], [1, 0]] {
            let (from, to) = (&self.logs[from], &self.logs[to]);
            let end = from.end.as_ref().expect("it terminates");
            assert!(!matches!(end.cause(), Cause::Violation(_) | Cause::Handshake(_)), "{end:?}");
            // The peer's Close is behind all its messages; one that answers drops what waits behind a fragment.
            let complete = !from.fragments || end.cause() == &Cause::Closed(Side::Local);
            if to.close.is_some() && complete {
                assert_eq!(from.sent.len(), to.got.len(), "a message was lost before a Close");
            }
            if matches!(end.cause(), Cause::Closed(_)) {
                assert!(end.received().is_some(), "half a closing handshake: {end:?}");
            }
        }
    }
}

#[test]
fn whatever_happens_in_whatever_order_the_laws_hold() {
    let (mut clean, mut messages) = (0, 0);
    for seed in 0..20_000 {
        let mut world = World::new(seed);
        let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            for _ in 0..world.dice.below(60) {
                world.act();
                world.check();
            }
            world.finish();
        }));
        assert!(result.is_ok(), "seed {seed}");
        clean += usize::from(world.logs.iter().all(|log| log.end.as_ref().unwrap().is_clean()));
        messages += world.logs.iter().map(|log| log.got.len()).sum::<usize>();
    }
    assert!(clean > 5_000 && messages > 20_000, "{clean} clean ends, {messages} messages: too tame");
}
