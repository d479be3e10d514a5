//! RFC 6455 §4.1, §4.2; RFC 9112: opening handshakes of hostile clients and servers, over real sockets, to
//! handlers and streams on each runtime.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::Future;
use std::io::ErrorKind;

use sansocket::{Accept, Cause, ClientRequest, Compression, Config, Delivery, Disconnect, Role};
use sansocket_driver::{Error, Runtime};
use sansocket_tests::heads::answer_to;
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::handshakes::{Row, Seen, rows};
use sansocket_tests::hostile::responses;
use sansocket_tests::hostile::witness::{self, Testimony, Witness, converse};
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, stream_to, streams};
use sansocket_tests::wire;
use tokio::sync::mpsc;

sansocket_tests::on_each_runtime!(
    a_server_refuses_hostile_requests_and_goes_on,
    what_serves_a_hostile_request_is_told_why_it_was_refused,
    a_server_that_accepts_by_hand_is_told_why_a_hostile_request_was_refused,
    a_client_fails_on_hostile_responses_and_sends_nothing,
);

/// With compression too, whose negotiation looks at the same headers.
fn configs() -> [Config; 2] {
    [None, Some(Compression::new())].map(|compression| Config::new().compression(compression))
}

/// Sends what there is; what comes back, up to the end of the stream, which the server ends.
async fn ask<R: Runtime>(mut raw: Raw<R::Tcp>, row: &Row) -> Vec<u8> {
    raw.write(&row.stream()).await.unwrap();
    raw.read_to_end().await.unwrap()
}

async fn check(
    row: &Row,
    output: impl Future<Output = Vec<u8>>,
    program: impl Future<Output = (Testimony, Option<Disconnect>)>,
) {
    let (output, (testimony, end)) = tokio::join!(output, program);
    let Testimony { requests, events: messages, .. } = testimony;
    row.check(true, &Seen { output, requests, messages, end });
}

/// How it ended, which may be that it never opened.
fn end<T>(result: Result<T, Error>) -> Result<T, Disconnect> {
    result.map_err(|error| match error {
        Error::Disconnected(end) => end,
        other => panic!("{other}"),
    })
}

async fn a_server_refuses_hostile_requests_and_goes_on<R: Adapter>() {
    for config in configs() {
        let (url, mut told) = witness::server::<R>(config).await;
        for row in rows() {
            let _during = During::new("server", row.name);
            let output = ask::<R>(Raw(stream_to::<R>(&url).await), &row);
            let program = async {
                let testimony = told.recv().await.unwrap();
                // A handler that was never open is told of no end.
                assert_eq!(testimony.ends.len(), usize::from(row.refusal.is_none()));
                let end = testimony.ends.first().cloned();
                (testimony, end)
            };
            check(&row, output, program).await;
        }
    }
}

async fn what_serves_a_hostile_request_is_told_why_it_was_refused<R: Adapter>() {
    for config in configs() {
        for row in rows() {
            let _during = During::new("served connection", row.name);
            let (one, other) = streams::<R>().await;
            let (tells, mut told) = mpsc::unbounded_channel();
            let served = R::serve_connection(other, config.clone(), Witness::new(tells));
            let program = async {
                let end = end(served.await).unwrap_or_else(|end| end);
                (told.recv().await.unwrap(), Some(end))
            };
            check(&row, ask::<R>(Raw(one), &row), program).await;
        }
    }
}

async fn a_server_that_accepts_by_hand_is_told_why_a_hostile_request_was_refused<R: Adapter>() {
    for config in configs() {
        for row in rows() {
            let _during = During::new("server stream", row.name);
            let (one, other) = streams::<R>().await;
            let program = async {
                let incoming = match end(R::incoming(other, &config).await) {
                    Ok(incoming) => incoming,
                    Err(end) => return (Testimony::default(), Some(end)),
                };
                let requests = vec![incoming.request().is_upgrade()];
                match end(incoming.accept(Accept::new()).await) {
                    Ok(socket) => {
                        let mut testimony = converse::<R>(socket, Delivery::Whole).await;
                        testimony.requests = requests;
                        let end = testimony.end();
                        (testimony, Some(end))
                    }
                    Err(end) => (Testimony { requests, ..Testimony::default() }, Some(end)),
                }
            };
            check(&row, ask::<R>(Raw(one), &row), program).await;
        }
    }
}

async fn a_client_fails_on_hostile_responses_and_sends_nothing<R: Adapter>() {
    for (i, row) in responses::rows().into_iter().enumerate() {
        let _during = During::new("client", format_args!("response {i}, {:?}", row.error));
        let (one, other) = streams::<R>().await;
        let mut raw = Raw(other);
        let server = async {
            let request = raw.read_until(b"\r\n\r\n").await.unwrap();
            let answer = (row.answer)(&answer_to(&request, &Config::new()));
            raw.write(&[answer.as_bytes(), &wire::frame(Role::Client, wire::TEXT, "bad")].concat())
                .await
                .unwrap();
            // What it has not read may reset the connection.
            match raw.read().await {
                Ok(bytes) => assert_eq!(bytes, [], "{answer}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{answer}"),
            }
        };
        let config = row.config();
        let client = async {
            let request = ClientRequest::new("ws://example.com/chat").unwrap();
            end(R::connect_on(one, &request, &config).await).map(drop).unwrap_err()
        };
        let ((), end) = tokio::join!(server, client);
        assert_eq!(end.cause(), &Cause::Handshake(row.error));
        assert_eq!((end.sent(), end.received()), (None, None));
    }
}
