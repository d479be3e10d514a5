//! What the program's log is told of a connection, and what not.
#![cfg(feature = "driver")]

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use sansocket::{Accept, CloseCode, Config, Response, Role, Status};
use sansocket_driver::{Error, Incoming};
use sansocket_tests::scripted::{Clock, REQUEST, Task, open, run, stream};
use sansocket_tests::stage::{Call, Stage, echo, goodbye, idle, text};
use sansocket_tests::wire;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps events as lines: level, message and fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &match field.name() {
            "message" => format!(" {value:?}"),
            name => format!(" {name}={value:?}"),
        };
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sansocket"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

/// The lines that come of it.
fn log(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), work);
    let lines = log.0.lock().unwrap();
    lines.clone()
}

const OPEN: &str = "DEBUG open role=Server compressed=false";

#[test]
fn a_connection_is_told_when_it_opens_and_when_it_closes() {
    let lines = log(|| {
        let mut stage = Stage::open(Config::new(), echo);
        stage.give(&[text("a secret")]);
        stage.grip.give(goodbye(1000));
        stage.finish();
    });
    assert_eq!(lines, [OPEN, "DEBUG closed reason=closed by the peer: 1000 clean=true"]);
}

#[test]
fn both_roles_tell_the_end_of_a_web_socket_once() {
    for role in [Role::Client, Role::Server] {
        let lines = log(|| {
            let mut scene = open(role, &Config::new());
            let mut closing = Task::new(scene.socket.close(CloseCode::GOING_AWAY));
            assert!(closing.settle().is_pending());
            scene.grip.give(wire::close(role, 1001, ""));
            scene.grip.end();
            assert!(closing.settle().is_ready());
            drop(closing);
            run(scene.socket.recv()).unwrap();
        });
        let opened = format!("DEBUG open role={role:?} compressed=false");
        assert_eq!(lines, [opened.as_str(), "DEBUG closed reason=closed by this side: 1001 clean=true"]);
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_is_worth_a_warning() {
    let lines = log(|| {
        let mut stage = Stage::open(Config::new(), idle);
        stage.grip.give([0xFF; 10]);
        stage.finish();
    });
    assert!(lines[1].starts_with("WARN failed reason=the peer's fault: "), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn what_a_peer_has_written_cannot_forge_lines() {
    let lines = log(|| {
        let mut scene = open(Role::Server, &Config::new());
        scene.grip.give(wire::close(Role::Server, 4000, "gone\nERROR all is lost"));
        scene.grip.end();
        run(scene.socket.recv()).unwrap();
    });
    assert_eq!(
        lines[1],
        r"DEBUG closed reason=closed by the peer: 4000 (gone\nERROR all is lost) clean=true"
    );
}

#[test]
fn requests_that_are_refused_rejected_or_never_come_are_told_apart() {
    let with = |request: &'static [u8], answer: Option<Response>| {
        log(|| {
            let ((end, grip), clock) = (stream(), Clock::new());
            grip.give(request);
            grip.end();
            let config = Config::new();
            let mut task = Task::new(async {
                let incoming = Incoming::read(end, clock.alarm(), &config).await?;
                match answer {
                    Some(response) => incoming.reject(response).await,
                    None => incoming.accept(Accept::new()).await.map(drop),
                }
            });
            let _: core::task::Poll<Result<(), Error>> = task.settle();
        })
    };
    let rejected = with(REQUEST, Some(Response::new(Status::NOT_FOUND)));
    assert!(rejected.len() == 1 && rejected[0].starts_with("DEBUG rejected reason="), "{rejected:?}");
    let refused =
        with(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", None);
    assert!(refused.len() == 1 && refused[0].starts_with("INFO refused reason="), "{refused:?}");
    let lost = with(b"", None);
    assert_eq!(lost, ["DEBUG closed reason=the connection was lost clean=false"]);
}

#[test]
fn callbacks_that_fail_are_errors() {
    let lines = log(|| {
        let mut stage = Stage::open(Config::new(), |call, _| match call {
            Call::Message(_) => Err("no such room".into()),
            _ => Ok(()),
        });
        stage.give(&[text("in")]);
        stage.clock.pass(Duration::from_secs(10));
        stage.finish();
    });
    assert_eq!(lines[1], "ERROR a handler failed error=no such room");
}
