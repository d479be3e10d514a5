//! Each adapter on real sockets: opening handshakes, those that fail too, and what cannot be connected to.
#![cfg(all(feature = "runtimes", not(miri)))]

use std::io::ErrorKind;

use sansocket::{
    Accept, Agreed, Cause, ClientRequest, CloseCode, Config, Endpoint, HandshakeError, Message, Response,
    Role, State, Status,
};
use sansocket_driver::Error;
use sansocket_tests::echo::echo_server;
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, listen, streams};
use sansocket_tests::wire::{self, TEXT};
use sansocket_tests::{ROLES, SEED};

const CONFIG: Config = Config::new();
static DEFAULTS: Config = CONFIG;

sansocket_tests::on_each_runtime!(
    a_handshake_that_the_server_rejects_gives_its_response,
    a_server_chooses_a_subprotocol,
    a_server_that_speaks_no_websocket_is_told_apart,
    urls_that_cannot_be_connected_to_are_errors_of_their_own,
    an_ipv6_address_stands_in_brackets,
    what_was_read_beyond_a_handshake_elsewhere_is_received_first,
);

async fn a_handshake_that_the_server_rejects_gives_its_response<R: Adapter>() {
    let (url, _ends) = echo_server::<R>(CONFIG).await;
    let error = R::connect_to(&url.replace("/chat", "/nowhere")).await.unwrap_err();
    let Error::Rejected(response) = error else { panic!("{error:?}") };
    assert_eq!(response.status(), Status::NOT_FOUND);
    assert_eq!(response.body(), b"no /nowhere here");

    let (one, other) = streams::<R>().await;
    let server = async {
        let incoming = R::incoming(other, &CONFIG).await.unwrap();
        assert_eq!(incoming.request().header("x-token"), Some("wrong"));
        incoming
            .reject(Response::new(Status::UNAUTHORIZED).with_header("WWW-Authenticate", "Bearer").unwrap())
            .await
    };
    let request = ClientRequest::new(&url).unwrap().header("X-Token", "wrong").unwrap();
    let (client, server) = tokio::join!(R::connect_on(one, &request, &DEFAULTS), server);
    server.unwrap();
    let Err(Error::Rejected(response)) = client else { panic!("{client:?}") };
    assert_eq!(
        (response.status(), response.header("www-authenticate")),
        (Status::UNAUTHORIZED, Some("Bearer"))
    );
}

async fn a_server_chooses_a_subprotocol<R: Adapter>() {
    let (one, other) = streams::<R>().await;
    let server = async {
        let incoming = R::incoming(other, &CONFIG).await.unwrap();
        assert_eq!(incoming.request().subprotocols().collect::<Vec<_>>(), ["one", "two"]);
        incoming.accept(Accept::new().subprotocol("two")).await.unwrap()
    };
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let request = request.subprotocol("one").unwrap().subprotocol("two").unwrap();
    let (client, server) = tokio::join!(R::connect_on(one, &request, &DEFAULTS), server);
    for socket in [&client.unwrap().0, &server] {
        assert_eq!(socket.connection().agreed().unwrap().subprotocol(), Some("two"));
    }
}

async fn a_server_that_speaks_no_websocket_is_told_apart<R: Adapter>() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (answer, cause) in [
        ("220 mail.example.com ESMTP\r\n\r\n", Some(Cause::Handshake(HandshakeError::Malformed))),
        (page, None),
        ("", Some(Cause::Lost)),
    ] {
        let (mut listener, url) = listen::<R>().await;
        let server = async {
            let mut raw = Raw(R::accept(&mut listener).await.unwrap().0);
            raw.read_until(b"\r\n\r\n").await.unwrap();
            raw.write(answer.as_bytes()).await.unwrap();
        };
        let (client, ()) = tokio::join!(R::connect_to(&url), server);
        match (client.unwrap_err(), cause) {
            (Error::Rejected(response), None) => {
                assert_eq!((response.status(), response.body()), (Status::OK, &b"hello"[..]));
            }
            (error, cause) => assert_eq!(error.cause(), cause.as_ref(), "{error:?}"),
        }
    }
}

async fn urls_that_cannot_be_connected_to_are_errors_of_their_own<R: Adapter>() {
    let error = R::connect_to("wss://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::Unsupported), "{error:?}");
    let error = R::connect_to("http://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(error, Error::Url(_)), "{error:?}");
    let (listener, url) = listen::<R>().await;
    drop(listener);
    let error = R::connect_to(&url).await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused), "{error:?}");
}

async fn an_ipv6_address_stands_in_brackets<R: Adapter>() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
    listener.set_nonblocking(true).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut listener = R::listener(listener).unwrap();
    let server = async { R::accept_on(R::accept(&mut listener).await.unwrap().0).await.unwrap() };
    let (client, _server) = tokio::join!(R::connect_to(&url), server);
    assert_eq!(client.unwrap().connection().state(), State::Open);
}

async fn what_was_read_beyond_a_handshake_elsewhere_is_received_first<R: Adapter>() {
    for role in ROLES {
        let (one, other) = streams::<R>().await;
        let mut raw = Raw(other);
        let endpoint = match role {
            Role::Client => Endpoint::Client(SEED),
            Role::Server => Endpoint::Server,
        };
        let bytes = [wire::frame(role, TEXT, "first"), wire::frame(role, TEXT, "second")].concat();
        let (unread, rest) = bytes.split_at(bytes.len() / 2 + 4);
        let mut socket = R::established(one, endpoint, &CONFIG, Agreed::new(), unread);
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("first")));
        raw.write(rest).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("second")));
        raw.write(&wire::close(role, 1000, "")).await.unwrap();
        raw.shut_down().await.unwrap();
        assert!(matches!(socket.recv().await, Ok(None)));
        assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
    }
}
