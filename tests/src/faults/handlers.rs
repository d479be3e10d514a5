//! The scenarios of handlers.

use core::time::Duration;

use sansocket::{Accept, CloseCode, Config, Delivery, Kind, Response, Role, Status};

use super::Say::{Binary, Close, Cut, Hear, Pieces, Ping, Text};
use super::scenarios::KIB;
use super::{Place, Play, Say, Scenario, payload};
use crate::stage::{Call, echo, idle};

const fn handler(name: &'static str, peer: &'static [Say], play: fn(Place) -> Play) -> Scenario {
    let config: fn(Config, Duration) -> Config = |config, _| config;
    Scenario { name, roles: &[Role::Server], peer, config, room: usize::MAX, play }
}

/// A handler that receives all that comes.
macro_rules! drains {
    ($act:expr) => {
        |place| {
            place.view.seen().drained = true;
            Box::pin(place.serve(Accept::new(), $act))
        }
    };
}

/// One that may close the connection before.
macro_rules! acts {
    ($act:expr) => {
        |place| Box::pin(place.serve(Accept::new(), $act))
    };
}

pub(super) const HANDLERS: &[Scenario] = &[
    handler("a handler echoes", &[Text(5), Ping, Binary(200), Pieces(20, 9), Hear(3), Close], drains!(echo)),
    handler(
        "a handler echoes 20 KiB",
        &[Text(3), Binary(20 * KIB), Text(7), Text(20 * KIB), Hear(4), Close],
        drains!(echo),
    ),
    handler(
        "a handler echoes 100 KiB",
        &[Text(100 * KIB), Text(7), Binary(100 * KIB), Hear(3), Close],
        drains!(echo),
    ),
    handler("a handler echoes 1 MiB", &[Text(7), Binary(1024 * KIB), Text(7), Hear(3), Close], drains!(echo)),
    handler("a handler echoes more than it is lent", &[Text(1024 * KIB + 1), Hear(1), Close], drains!(echo)),
    Scenario {
        room: 9 * KIB,
        ..handler(
            "a handler echoes to a slow reader",
            &[Binary(20 * KIB), Text(70 * KIB), Text(1), Binary(30 * KIB), Hear(4), Close],
            drains!(echo),
        )
    },
    Scenario {
        config: |config, _| config.auto_fragment(Some(6 * KIB)),
        room: 20 * KIB,
        ..handler(
            "a handler echoes in fragments",
            &[Binary(20 * KIB), Ping, Binary(5 * KIB), Hear(2), Close],
            drains!(echo),
        )
    },
    handler(
        "a handler is left in the middle of a message",
        &[Text(20 * KIB), Binary(100 * KIB), Cut(30)],
        drains!(echo),
    ),
    handler("a handler listens", &[Text(20 * KIB), Text(9), Close], drains!(idle)),
    handler(
        "a handler answers at length",
        &[Text(1), Text(2), Hear(6), Close],
        drains!(|call, reply| {
            if let Call::Message(_) = call {
                for len in [20 * KIB, 3, 70 * KIB] {
                    reply.send(payload(len).as_slice())?;
                }
            }
            Ok(())
        }),
    ),
    handler(
        "a handler closes behind a long answer",
        &[Binary(20 * KIB), Text(3)],
        acts!(|call, reply| {
            if let Call::Message(message) = call {
                reply.send(message)?;
                reply.close(CloseCode::GOING_AWAY);
            }
            Ok(())
        }),
    ),
    handler(
        "a handler fails behind a long answer",
        &[Binary(20 * KIB), Text(3)],
        acts!(|call, reply| {
            if let Call::Message(message) = call {
                reply.send(message)?;
                return Err("it cannot go on".into());
            }
            Ok(())
        }),
    ),
    handler(
        "a handler greets",
        &[Hear(2), Close],
        drains!(|call, reply| {
            if let Call::Open = call {
                reply.send("hello")?;
                reply.send(payload(40 * KIB).as_slice())?;
            }
            Ok(())
        }),
    ),
    handler(
        "a handler sends in pieces",
        &[Text(3), Hear(2), Close],
        drains!(|call, reply| {
            if let Call::Message(message) = call {
                reply.begin(Kind::Binary)?;
                reply.push(&payload(20 * KIB))?;
                reply.ping(b"between")?;
                reply.finish(message.as_bytes())?;
                reply.send(payload(17 * KIB).as_slice())?;
            }
            Ok(())
        }),
    ),
    handler(
        "a handler is written to",
        &[Hear(2), Close],
        drains!({
            let mut address = None;
            move |call, reply| {
                match call {
                    Call::Open => {
                        let own = address.insert(reply.address());
                        own.send(20).and_then(|()| own.send(3))?;
                    }
                    Call::Info(kib) => reply.send(payload(kib as usize * KIB).as_slice())?,
                    _ => {}
                }
                Ok(())
            }
        }),
    ),
    handler(
        "a handler pauses",
        &[Text(3), Binary(20 * KIB), Hear(2), Close],
        drains!(|call, reply| {
            match call {
                Call::Message(message) => {
                    reply.send(message)?;
                    reply.pause();
                    reply.address().send(0)?;
                }
                Call::Info(_) => reply.resume(),
                _ => {}
            }
            Ok(())
        }),
    ),
    Scenario {
        config: |config, _| config.delivery(Delivery::Streaming),
        ..handler(
            "a handler gets pieces",
            &[Binary(100 * KIB), Pieces(50, 20), Hear(2), Close],
            acts!({
                let mut pieces = 0;
                move |call, reply| {
                    if let Call::Data = call {
                        pieces += 1;
                        if pieces < 3 {
                            reply.send(payload(20 * KIB).as_slice())?;
                        }
                    }
                    Ok(())
                }
            }),
        )
    },
    handler("a handler responds", &[], |place| {
        Box::pin(place.serve(Response::new(Status::NOT_FOUND).text("nobody here"), idle))
    }),
];
