//! The law of an open connection: what it makes of a stream is what the RFC says, wherever the stream is cut.

use sansocket::{Cause, CloseCode, Config, Connection, Delivery, Event, Role, Side, State};
use sansocket_tests::splits::{Record, run};
use sansocket_tests::{START, open};

use crate::reference::{Expected, Limits, decode};
use crate::{Cut, Output};

/// The connection that a stream is received on: a byte of the input's.
#[derive(Clone, Copy, Debug)]
struct Setup(u8);

impl Setup {
    fn limits(self) -> Limits {
        match self.0 & 3 {
            1 => Limits { frame: 50, message: 100, ..Limits::DEFAULT },
            2 => Limits { fragments: 3, ..Limits::DEFAULT },
            _ => Limits::DEFAULT,
        }
    }

    fn auto_pong(self) -> bool {
        self.0 & 4 == 0
    }

    fn closes_first(self) -> bool {
        self.0 & 0x18 == 0x08
    }

    /// A message of this side's waits in fragments: more than `high_water`, of which less can be written.
    fn is_sending(self) -> bool {
        self.0 & 0x38 == 0x10
    }

    fn connection(self, role: Role, delivery: Delivery) -> Connection {
        let limits = self.limits();
        let mut config = Config::new()
            .max_message(limits.message)
            .max_frame(limits.frame)
            .max_fragments(u32::try_from(limits.fragments).unwrap())
            .auto_pong(self.auto_pong())
            .delivery(delivery);
        if self.0 & 3 == 3 {
            config = config.high_water(1);
        }
        if self.is_sending() {
            config = config.auto_fragment(Some(4096)).high_water(18_000);
        }
        let mut connection = open(role, &config);
        if self.is_sending() {
            connection.send(&[7; 20_000][..]).unwrap();
        }
        if self.closes_first() {
            connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        }
        connection
    }
}

/// The law, for an endpoint in `role`: a setup, then a [`Cut`].
pub fn check(role: Role, data: &[u8]) {
    let Some((setup, cut)) = data.split_first().and_then(|(setup, rest)| Some((setup, Cut::new(rest)?)))
    else {
        return;
    };
    let setup = Setup(*setup);
    for delivery in [Delivery::Whole, Delivery::Streaming] {
        let make = || setup.connection(role, delivery);
        let whole = run(make(), [cut.stream]);
        assert_eq!(run(make(), cut.pieces()), whole, "cut, then whole");
        let expected = decode(role, setup.limits(), delivery, cut.stream);
        assert_eq!(whole.events, expected.events, "got, then expected");
        let output = Output::read(role, &whole.output);
        output.check_unfinished();
        check_end(role, &whole, &expected, setup.closes_first());
        if setup.closes_first() {
            assert!(output.pongs.is_empty() && output.close == Some(vec![0x03, 0xE8]));
        } else {
            check_answers(&output, &expected, setup.auto_pong());
        }
    }
}

/// Pongs in the order of their Pings, the newest not left out, and the Close that belongs there.
pub fn check_answers(output: &Output, expected: &Expected, auto_pong: bool) {
    let over = expected.fault.is_some() || expected.close.is_some();
    let mut pings = expected.pings.iter();
    if auto_pong {
        assert!(output.pongs.iter().all(|pong| pings.any(|ping| ping == pong)), "a Pong without its Ping");
        assert!(over || output.pongs.last() == expected.pings.last(), "the last Ping was not answered");
    } else {
        assert!(output.pongs.is_empty());
    }
    let code = match &expected.close {
        Some(close) => Some(close.code().map(CloseCode::get)),
        None => expected.fault.map(Some),
    };
    let payload = code.map(|code| code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec()));
    assert_eq!(output.close, payload);
}

/// The verdict, and where the connection was before the transport ended.
pub fn check_end(role: Role, record: &Record, expected: &Expected, closes_first: bool) {
    let end = &record.end;
    let over = expected.fault.is_some() || expected.close.is_some();
    match (expected.fault, &expected.close) {
        (Some(code), _) => {
            let Cause::Violation(error) = end.cause() else { panic!("{code} expected, not {end:?}") };
            assert_eq!(error.close_code().get(), code, "{error}");
        }
        (None, Some(_)) if closes_first => assert_eq!(end.cause(), &Cause::Closed(Side::Local)),
        (None, Some(_)) => assert_eq!(end.cause(), &Cause::Closed(Side::Remote)),
        (None, None) => assert_eq!(end.cause(), &Cause::Lost),
    }
    assert_eq!(end.received(), expected.close.as_ref());
    assert_eq!(end.sent().is_some(), over || closes_first);
    assert_eq!(end.is_clean(), expected.close.is_some());
    assert_eq!(record.state, if over || closes_first { State::Closing } else { State::Open });
    let server_closes = role == Role::Server && expected.close.is_some();
    assert_eq!(record.shutdown, expected.fault.is_some() || server_closes);
    let closes = record.events.iter().filter(|event| matches!(event, Event::Close(_))).count();
    assert_eq!(closes, usize::from(expected.close.is_some()));
}
