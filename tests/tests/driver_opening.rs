//! Opening handshakes over a stream that does as it is told.
#![cfg(feature = "driver")]

use core::task::Poll;
use std::io::ErrorKind;

use sansocket::{Cause, ClientRequest, Config, Refusal, Response, Status};
use sansocket_driver::{Error, Incoming, connect};
use sansocket_tests::SEED;
use sansocket_tests::scripted::{Clock, REQUEST, Step, Task, stream};

static CONFIG: Config = Config::new();

#[test]
fn a_rejection_whose_body_ends_with_the_stream_is_a_rejection() {
    // TLS streams that end without a `close_notify` end with an error.
    for end_with in [None, Some(ErrorKind::UnexpectedEof)] {
        let ((end, grip), clock) = (stream(), Clock::new());
        let request = ClientRequest::new("ws://example.com/chat").unwrap();
        let mut task = Task::new(connect(end, clock.alarm(), &CONFIG, &request, SEED));
        assert!(task.settle().is_pending());
        grip.give("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\nOver th");
        assert!(task.settle().is_pending());
        grip.give("ere.");
        match end_with {
            None => grip.end(),
            Some(error) => grip.fail_reads(error),
        }
        let Poll::Ready(Err(Error::Rejected(response))) = task.settle() else { panic!("it was rejected") };
        assert_eq!((response.status().get(), response.header("Location")), (302, Some("/elsewhere")));
        assert_eq!(response.body(), b"Over there.");
    }
}

#[test]
fn a_refusal_is_told_though_the_client_breaks_the_stream_behind_it() {
    for breaks in ["reading", "writing", "both"] {
        let ((end, grip), clock) = (stream(), Clock::new());
        if breaks != "reading" {
            grip.fail_writes(20, ErrorKind::BrokenPipe);
        }
        grip.give("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n");
        let mut task = Task::new(Incoming::read(end, clock.alarm(), &CONFIG));
        let mut result = task.settle();
        if breaks != "writing" && result.is_pending() {
            grip.fail_reads(ErrorKind::ConnectionReset);
            result = task.settle();
        }
        let Poll::Ready(Err(error)) = result else { panic!("{breaks}: {result:?}") };
        assert_eq!(error.cause(), Some(&Cause::Refused(Refusal::HttpVersion)), "{breaks}: {error:?}");
    }
}

#[test]
fn a_rejection_that_was_written_is_no_error_though_the_client_resets_the_stream_behind_it() {
    for is_cut in [false, true] {
        let ((end, grip), clock) = (stream(), Clock::new());
        grip.give(REQUEST);
        let Poll::Ready(Ok(incoming)) = Task::new(Incoming::read(end, clock.alarm(), &CONFIG)).settle()
        else {
            panic!("it is all there")
        };
        if is_cut {
            grip.set_room(20);
        }
        let mut rejecting = Task::new(incoming.reject(Response::new(Status::FORBIDDEN)));
        assert!(rejecting.settle().is_pending(), "the client ends it");
        assert!(grip.take().starts_with(b"HTTP/1.1 403"));
        grip.fail_writes(grip.log().written.len(), ErrorKind::ConnectionReset);
        grip.fail_reads(ErrorKind::ConnectionReset);
        let Poll::Ready(result) = rejecting.settle() else { panic!("it goes on") };
        match result {
            Ok(()) => assert!(!is_cut),
            Err(Error::Io(error)) => assert!(is_cut && error.kind() == ErrorKind::ConnectionReset),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// As TLS does, which takes what it is given and cannot always pass it on.
#[test]
fn a_rejection_that_stays_in_the_stream_is_an_error() {
    for steps in
        [vec![Step::Fail(ErrorKind::BrokenPipe)], vec![Step::Wait, Step::Fail(ErrorKind::BrokenPipe)]]
    {
        let ((end, grip), clock) = (stream(), Clock::new());
        grip.give(REQUEST);
        let Poll::Ready(Ok(incoming)) = Task::new(Incoming::read(end, clock.alarm(), &CONFIG)).settle()
        else {
            panic!("it is all there")
        };
        grip.on_flush(steps);
        let mut rejecting = Task::new(incoming.reject(Response::new(Status::FORBIDDEN)));
        let mut result = rejecting.settle();
        if result.is_pending() {
            grip.wake_writer();
            result = rejecting.settle();
        }
        let Poll::Ready(Err(Error::Io(error))) = result else { panic!("it was not flushed") };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
