//! Redirections that a client follows (RFC 9110 §15.4), or does not. What it asks there is in `redirects.rs`.
#![cfg(feature = "driver")]

use core::task::Poll;
use core::time::Duration;
use std::io::ErrorKind;

use sansocket::Response;
use sansocket_driver::{Connected, Connector, Error};
use sansocket_tests::heads::{credentials, has_credentials};
use sansocket_tests::lab::{self, Lab, World};
use sansocket_tests::scripted::Task;

type Opening = Task<'static, Result<(Connected<Lab>, Response), Error>>;

/// A client of this URL with credentials and more, which has connected.
fn client(url: &str, redirects: u8) -> (World, Opening) {
    let world = lab::begin();
    let connector = Connector::<Lab>::new().redirects(redirects);
    let request = credentials(url);
    let mut task = Task::new(async move { connector.connect(&request).await });
    assert!(task.settle().is_pending());
    (world, task)
}

#[track_caller]
fn rejection(result: Poll<Result<(Connected<Lab>, Response), Error>>) -> Response {
    match result {
        Poll::Ready(Err(Error::Rejected(response))) => *response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_redirection_is_an_answer_unless_the_client_was_told_to_follow() {
    for status in [301, 302, 303, 307, 308] {
        let (world, mut task) = client("ws://a.example/x", 0);
        world.call().answer(status, &["Location: /y"]);
        let response = rejection(task.settle());
        assert_eq!((response.status().get(), response.header("location")), (status, Some("/y")));
        assert!(world.is_quiet());
    }
}

#[test]
fn every_status_that_redirects_is_followed_with_all_headers_on_the_same_origin() {
    for status in [301, 302, 303, 307, 308] {
        let (world, mut task) = client("ws://a.example/x?q", 1);
        let first = world.call().answer(status, &["Location: HTTP://A.example:80/y"]);
        assert!(first.starts_with("GET /x?q HTTP/1.1\r\n"));
        assert!(task.settle().is_pending());
        let call = world.call();
        assert_eq!(call.place(), ("A.example", 80));
        let request = call.accept();
        assert_eq!((request.path(), request.header("x-own")), ("/y", Some("kept")));
        assert_eq!(request.header("authorization"), Some("Bearer of-secrets"));
        assert_eq!(request.header("cookie"), Some("session=1"));
        assert_eq!(request.header("sec-websocket-protocol"), Some("chat"));
        assert!(matches!(task.settle(), Poll::Ready(Ok(_))));
    }
}

#[test]
fn no_other_status_is_followed() {
    for status in [200, 204, 300, 304, 305, 306, 401, 404, 500, 503] {
        let (world, mut task) = client("ws://a.example/x", 5);
        world.call().answer(status, &["Location: /y"]);
        assert_eq!(rejection(task.settle()).status().get(), status);
        assert!(world.is_quiet());
    }
}

#[test]
fn credentials_stay_behind_at_another_origin_and_do_not_come_back() {
    let (world, mut task) = client("ws://a.example/", 3);
    let first = world.call().answer(302, &["Location: ws://b.example/"]);
    assert_eq!(has_credentials(&first), [true; 3]);
    assert!(task.settle().is_pending());

    let call = world.call();
    assert_eq!(call.place(), ("b.example", 80));
    let second = call.answer(302, &["Location: ws://a.example/back"]);
    assert_eq!(has_credentials(&second), [false; 3], "{second}");
    assert!(second.contains("\r\nHost: b.example\r\n") && second.contains("\r\nX-Own: kept\r\n"));
    assert!(task.settle().is_pending());

    let third = world.call().answer(302, &["Location: /further"]);
    assert_eq!(has_credentials(&third), [false; 3], "{third}");
}

#[test]
fn a_loop_ends_after_as_many_redirections_as_were_allowed() {
    let (world, mut task) = client("ws://a.example/loop", 4);
    for _ in 0..4 {
        world.call().answer(302, &["Location: loop"]);
        assert!(task.settle().is_pending());
    }
    world.call().answer(302, &["Location: loop"]);
    assert_eq!(rejection(task.settle()).status().get(), 302);
    assert!(world.is_quiet());
}

#[test]
fn a_location_that_leads_nowhere_is_the_servers_answer() {
    for lines in [
        &[][..],
        &["Location: ftp://a.example/"],
        &["Location: http://user:secret@a.example/"],
        &["Location: /a b"],
        &["Location: //"],
        &["Location: /\u{fc}"],
        &["Location: http://a.example:99999/"],
    ] {
        let (world, mut task) = client("ws://a.example/", 5);
        world.call().answer(307, lines);
        assert_eq!(rejection(task.settle()).status().get(), 307, "{lines:?}");
        assert!(world.is_quiet(), "{lines:?}");
    }
}

#[test]
fn the_way_to_another_place_takes_no_more_time_than_the_whole_may() {
    let (world, mut task) = client("ws://a.example/", 5);
    for _ in 0..3 {
        world.clock.pass(Duration::from_secs(9));
        world.call().answer(302, &["Location: /"]);
        assert!(task.settle().is_pending());
    }
    world.clock.pass(Duration::from_millis(2_999));
    assert!(task.settle().is_pending());
    world.clock.pass(Duration::from_millis(1));
    match task.settle() {
        Poll::Ready(Err(Error::Io(error))) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
}
