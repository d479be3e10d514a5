//! The scenarios of programs that receive and send where they want to.

use core::fmt;

use futures_util::{SinkExt, StreamExt};
use sansocket::{
    Accept, CloseCode, Compression, Config, Delivery, Keepalive, Kind, Message, Prepared, Role, Status,
};

use super::Say::{Binary, Close, Cut, Hear, HearPings, Pieces, Ping, Raw, Text};
use super::halves::HALVES;
use super::handlers::HANDLERS;
use super::place::{Place, Socket, View};
use super::{Outcome, Play, Say, Scenario, Trial, payload, run};
use crate::{ROLES, insist};

pub(super) const KIB: usize = 1024;

/// The same for both roles, with the settings as they are.
pub(super) const fn both(name: &'static str, peer: &'static [Say], play: fn(Place) -> Play) -> Scenario {
    Scenario { name, roles: &ROLES, peer, config: |config, _| config, room: usize::MAX, play }
}

/// A program that has an open WebSocket.
macro_rules! opened {
    (|$socket:pat_param, $view:ident| $body:expr) => {
        |mut place| {
            Box::pin(async move {
                let Some($socket) = place.open().await else { return };
                let $view = place.view;
                $body
            })
        }
    };
}

pub(super) use opened;

/// A scenario in one of its roles, plain or compressed.
#[derive(Clone, Copy)]
pub struct Case {
    pub scenario: Scenario,
    pub role: Role,
    pub compresses: bool,
}

/// All of them.
pub fn cases() -> impl Iterator<Item = Case> {
    let scenarios = SCENARIOS.iter().chain(LONG).chain(HALVES).chain(OPENINGS).chain(HANDLERS);
    scenarios.flat_map(|scenario| Case::of(*scenario))
}

/// Those of handlers.
pub fn served() -> impl Iterator<Item = Case> {
    HANDLERS.iter().flat_map(|scenario| Case::of(*scenario))
}

impl Case {
    /// Those of a scenario.
    pub fn of(scenario: Scenario) -> impl Iterator<Item = Self> {
        let roles = scenario.roles.iter();
        roles.flat_map(move |&role| [false, true].map(|compresses| Self { scenario, role, compresses }))
    }

    pub fn config(&self) -> Config {
        config(self.compresses)
    }

    pub fn run(&self, trial: Trial) -> Outcome {
        run(&self.scenario, self.role, &self.config(), trial)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, as {:?}, compressed: {}", self.scenario.name, self.role, self.compresses)
    }
}

const SCENARIOS: &[Scenario] = &[
    both("receives to the end", &[Text(5), Binary(300), Text(0), Close], opened!(|s, v| v.drain(s).await)),
    both(
        "receives what comes in pieces",
        &[Pieces(50, 20), Ping, Pieces(9, 1), Close],
        opened!(|s, v| v.drain(s).await),
    ),
    both(
        "sends and closes",
        &[],
        opened!(|mut s, v| {
            let _ = v.send(&mut s, "one").await && v.send(&mut s, payload(200)).await;
            v.close(s).await;
        }),
    ),
    both("closes at once", &[Text(3)], opened!(|s, v| v.close(s).await)),
    both("is closed at once", &[Close], opened!(|s, v| v.drain(s).await)),
    both(
        "feeds much and flushes once",
        &[Hear(6), Text(2), Close],
        opened!(|mut s, v| {
            for i in 0..6 {
                let _ = v.note(insist!(v, s.feed(payload(i * 30))));
            }
            let _ = v.note(insist!(v, s.flush()));
            v.drain(s).await;
        }),
    ),
    both(
        "closes and receives what is on its way",
        &[Text(5), Binary(20)],
        opened!(|mut s, v| {
            s.start_close(CloseCode::GOING_AWAY);
            v.drain(s).await;
        }),
    ),
    both(
        "echoes",
        &[Text(5), Binary(200), Hear(2), Pieces(40, 7), Hear(3), Close],
        opened!(|mut s, v| {
            echo(&mut s, &v).await;
            v.drain(s).await;
        }),
    ),
    Scenario {
        room: 50,
        config: |config, _| config.high_water(100),
        ..both(
            "waits for room",
            &[Hear(5), Close],
            opened!(|mut s, v| {
                for i in 0..5 {
                    if v.note(insist!(v, s.feed(payload(60 + i)))).is_none() {
                        break;
                    }
                }
                let _ = v.note(insist!(v, s.flush()));
                v.drain(s).await;
            }),
        )
    },
    both(
        "sends a message in pieces",
        &[Hear(2), Close],
        opened!(|mut s, v| {
            let _ = v.note(s.begin(Kind::Binary));
            for i in 0..3 {
                let _ = v.note(insist!(v, s.push(&payload(i * 40))));
            }
            let _ = v.note(s.finish(b"last").await);
            let _ = v.send(&mut s, "next").await;
            v.drain(s).await;
        }),
    ),
    both(
        "pings",
        &[Ping, HearPings(2), Text(1), Close],
        opened!(|mut s, v| {
            let _ = v.note(s.ping(b"?"));
            let _ = v.note(s.probe());
            let _ = v.note(s.pong(b"!"));
            v.drain(s).await;
        }),
    ),
    both(
        "sends what was prepared",
        &[Hear(2), Close],
        opened!(|mut s, v| {
            let prepared = Prepared::text("to all");
            for _ in 0..2 {
                let _ = v.note(insist!(v, s.feed_prepared(&prepared)));
            }
            let _ = v.note(insist!(v, s.flush()));
            v.drain(s).await;
        }),
    ),
    Scenario {
        config: |config, _| config.auto_fragment(Some(16)),
        room: 30,
        ..both(
            "sends in fragments",
            &[Ping, Hear(2), Close],
            opened!(|mut s, v| {
                let _ = v.send(&mut s, payload(100)).await && v.send(&mut s, payload(33)).await;
                v.drain(s).await;
            }),
        )
    },
    Scenario {
        config: |config, _| config.delivery(Delivery::Streaming),
        ..both(
            "receives pieces as they come",
            &[Pieces(90, 40), Text(7), Binary(300), Close],
            opened!(|mut s, v| {
                pieces(&mut s, &v).await;
                v.seen().drained = true;
                v.look_back(s);
            }),
        )
    },
    Scenario {
        config: |config, _| config.delivery(Delivery::Streaming),
        ..both(
            "has pieces put together",
            &[Pieces(90, 40), Ping, Text(7), Close],
            opened!(|s, v| v.drain(s).await),
        )
    },
    Scenario {
        config: |config, second| config.keepalive(Keepalive::Every(3 * second)).idle_timeout(None),
        ..both("keeps alive", &[HearPings(2), Text(3), Close], opened!(|s, v| v.drain(s).await))
    },
    Scenario {
        config: |config, second| config.idle_timeout(Some(7 * second)).keepalive(Keepalive::Off),
        ..both("has a peer that falls silent", &[Text(3)], opened!(|s, v| v.drain(s).await))
    },
    both(
        "has a peer that breaks the protocol",
        &[Text(3), Raw(&[0xFF; 9])],
        opened!(|s, v| v.drain(s).await),
    ),
    both(
        "has a peer that goes without a word",
        &[Text(3), Binary(70), Cut(0)],
        opened!(|s, v| v.drain(s).await),
    ),
    both(
        "has a peer that goes in the middle of a word",
        &[Text(3), Binary(200), Cut(9)],
        opened!(|s, v| v.drain(s).await),
    ),
    Scenario {
        config: |config, _| config.max_message(100),
        ..both(
            "has a peer that says too much",
            &[Text(3), Raw(&[0x82, 0xFE, 1, 0, 1, 2, 3, 4, 5])],
            opened!(|s, v| v.drain(s).await),
        )
    },
    both(
        "is a stream and a sink",
        &[Text(5), Binary(20), Hear(2), Close],
        opened!(|mut s, v| {
            while let Some(Ok(message)) = s.next().await {
                v.seen().messages.push(message.as_bytes().to_vec());
                if s.send(message).await.is_err() {
                    break;
                }
            }
            (v.seen().silent, v.seen().drained) = (true, false);
            let _ = SinkExt::<Message<'_>>::close(&mut s).await;
            v.tell_quietly(&s);
            v.look_back(s);
        }),
    ),
    both(
        "sends and goes",
        &[],
        opened!(|mut s, v| {
            let _ = v.send(&mut s, payload(100)).await;
            v.seen().done = true;
        }),
    ),
    both(
        "compresses some",
        &[Hear(3), Text(100), Close],
        opened!(|mut s, v| {
            let _ = v.note(insist!(v, s.feed_plain(payload(100))));
            s.set_compression(false);
            let _ = v.send(&mut s, payload(101)).await;
            s.set_compression(true);
            s.release_memory();
            let _ = v.send(&mut s, payload(102)).await;
            v.drain(s).await;
        }),
    ),
    Scenario {
        config: |config, _| match format!("{config:?}").contains("compression: None") {
            true => config,
            false => config.compression(Some(Compression::shared().min_size(0))),
        },
        ..both(
            "borrows its codecs",
            &[Text(100), Binary(300), Hear(2), Close],
            opened!(|mut s, v| {
                echo(&mut s, &v).await;
                v.drain(s).await;
            }),
        )
    },
];

const LONG: &[Scenario] = &[
    both(
        "receives 20 KiB",
        &[Text(3), Binary(20 * KIB), Text(20 * KIB), Close],
        opened!(|s, v| v.drain(s).await),
    ),
    both(
        "receives 100 KiB",
        &[Text(100 * KIB), Text(3), Binary(70 * KIB), Close],
        opened!(|s, v| v.drain(s).await),
    ),
    both("receives 1 MiB", &[Binary(1024 * KIB), Text(3), Close], opened!(|s, v| v.drain(s).await)),
    both(
        "receives 100 KiB in pieces",
        &[Pieces(100 * KIB, 30 * KIB), Ping, Text(2), Close],
        opened!(|s, v| v.drain(s).await),
    ),
    both(
        "is left in the middle of 100 KiB",
        &[Text(3), Binary(100 * KIB), Cut(20)],
        opened!(|s, v| v.drain(s).await),
    ),
    Scenario {
        room: 30 * KIB,
        ..both(
            "sends 100 KiB",
            &[Hear(2), Close],
            opened!(|mut s, v| {
                let _ = v.send(&mut s, payload(20 * KIB)).await && v.send(&mut s, payload(100 * KIB)).await;
                v.drain(s).await;
            }),
        )
    },
    Scenario {
        room: 300 * KIB,
        ..both(
            "sends 1 MiB",
            &[Hear(2), Close],
            opened!(|mut s, v| {
                let _ = v.send(&mut s, payload(1024 * KIB)).await && v.send(&mut s, "behind").await;
                v.drain(s).await;
            }),
        )
    },
    Scenario {
        room: 70 * KIB,
        ..both(
            "echoes 100 KiB",
            &[Binary(20 * KIB), Text(100 * KIB), Text(1), Hear(3), Close],
            opened!(|mut s, v| {
                echo(&mut s, &v).await;
                v.drain(s).await;
            }),
        )
    },
];

const OPENINGS: &[Scenario] = &[
    both("opens and goes", &[], opened!(|_s, v| v.seen().done = true)),
    Scenario {
        roles: &[Role::Server],
        ..both("rejects", &[], |mut place| {
            Box::pin(async move {
                let Some(incoming) = place.incoming().await else { return };
                let response = sansocket::Response::new(Status::NOT_FOUND).text("nobody here");
                place.view.seen().silent = true;
                let _ = place.view.note(incoming.reject(response).await);
                place.view.seen().done = true;
            })
        })
    },
    Scenario {
        roles: &[Role::Server],
        ..both("answers what does not fit", &[], |mut place| {
            Box::pin(async move {
                let Some(incoming) = place.incoming().await else { return };
                let accepted = incoming.accept(Accept::new().subprotocol("unasked")).await;
                place.view.seen().silent = true;
                assert!(place.view.note(accepted).is_none());
                place.view.seen().done = true;
            })
        })
    },
    Scenario {
        roles: &[Role::Server],
        ..both("refuses", &[Raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Cut(0)], |mut place| {
            Box::pin(async move {
                assert!(place.incoming().await.is_none());
                place.view.seen().done = true;
            })
        })
    },
    Scenario {
        roles: &[Role::Client],
        ..both("is rejected", &[Raw(b"HTTP/1.1 403 Forbidden\r\n\r\nup to the end"), Cut(0)], |mut place| {
            Box::pin(async move {
                assert!(place.open().await.is_none());
                place.view.seen().done = true;
            })
        })
    },
    Scenario {
        config: |config, second| config.handshake_timeout(Some(10 * second)),
        ..both("waits for a handshake that does not come", &[Raw(b"G")], |mut place| {
            Box::pin(async move {
                assert!(place.open().await.is_none());
                place.view.seen().done = true;
            })
        })
    },
];

async fn echo(socket: &mut Socket, view: &View) {
    for _ in 0..3 {
        let Some(message) = view.receive(socket).await else { return };
        if !view.send(socket, message).await {
            return;
        }
    }
}

async fn pieces(socket: &mut Socket, view: &View) {
    let mut whole = Vec::new();
    loop {
        match insist!(view, socket.recv_data()) {
            Ok(Some(data)) => {
                assert_eq!(data.first, whole.is_empty());
                whole.extend_from_slice(&data.payload);
                if data.last {
                    view.seen().messages.push(core::mem::take(&mut whole));
                }
            }
            Ok(None) => return view.tell_end(socket, Ok(())),
            Err(error) => return view.tell_end(socket, Err(error)),
        }
    }
}

/// The settings, plain or compressing: fast, or two thirds of the time would go into looking for repetitions.
fn config(compresses: bool) -> Config {
    let compression = compresses.then(|| Compression::new().min_size(0).level(1));
    Config::new().compression(compression).max_message(4 << 20)
}
