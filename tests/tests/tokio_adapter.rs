//! The tokio adapter on real sockets, and on tokio's own clock where time matters.
#![cfg(not(miri))]

use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use sansocket::{
    Accept, Cause, ClientRequest, CloseCode, CloseFrame, Config, Disconnect, HandshakeError, Keepalive, Kind,
    Message, Request, Response, Role, SendError, Side, State, Status, Timer,
};
use sansocket_tests::scripted::REQUEST;
use sansocket_tests::wire;
use sansocket_tokio::{
    Connected, Decision, Error, Handler, Outcome, Reply, WebSocket, accept, connect, connect_on, incoming,
    serve, serve_connection,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

const CONFIG: Config = Config::new();
static DEFAULTS: Config = CONFIG;
const MIB: usize = 1 << 20;

/// Fails instead of hanging.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    (listener, url)
}

/// Two ends of a real socket, opened by `connect` and `accept`.
async fn pair() -> (Connected, WebSocket<TcpStream>) {
    let (listener, url) = listen().await;
    let server = async { accept(listener.accept().await.unwrap().0).await.unwrap() };
    let (client, server) = in_time(async { tokio::join!(connect(&url), server) }).await;
    (client.unwrap(), server)
}

/// Echoes; what it is told about the end goes into the channel.
struct Echo(mpsc::UnboundedSender<Disconnect>);

impl Handler for Echo {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        match request.path() {
            "/chat" => Accept::new().into(),
            path => Response::new(Status::NOT_FOUND).text(format!("no {path} here")).into(),
        }
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match message.as_text() {
            Some("stop") => reply.close(CloseFrame::new(CloseCode::GOING_AWAY, "as told")?),
            Some("pieces") => {
                reply.begin(Kind::Text)?;
                for piece in ["a", "", "bc"] {
                    reply.push(piece.as_bytes())?;
                }
                reply.finish(b"d")?;
            }
            _ => reply.send(message)?,
        }
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.0.send(disconnect.clone()).unwrap();
    }
}

/// A server of `Echo`s; its URL and what its handlers are told about their ends.
async fn echo_server(config: Config) -> (String, mpsc::UnboundedReceiver<Disconnect>) {
    let (listener, url) = listen().await;
    let (ends, told) = mpsc::unbounded_channel();
    tokio::spawn(serve(listener, config, move |_: SocketAddr| Echo(ends.clone())));
    (url, told)
}

#[tokio::test]
async fn connect_and_accept_talk_both_ways() {
    let (mut client, mut server) = pair().await;
    client.send("to the server").await.unwrap();
    server.send(vec![1, 2, 3]).await.unwrap();
    assert_eq!(in_time(server.recv()).await.unwrap(), Some(Message::from("to the server")));
    assert_eq!(in_time(client.recv()).await.unwrap(), Some(Message::from(vec![1, 2, 3])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_serves_200_connections_at_once() {
    let (url, mut ends) = echo_server(CONFIG).await;
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(in_time(connect(&url)).await.unwrap());
    }
    let clients: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(i, mut socket)| {
            tokio::spawn(async move {
                for round in 0..20 {
                    let text = format!("{i} {round}");
                    socket.send(&text[..]).await.unwrap();
                    assert_eq!(socket.recv().await.unwrap(), Some(Message::from(text)));
                }
                assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
            })
        })
        .collect();
    for client in clients {
        in_time(client).await.unwrap();
    }
    for _ in 0..200 {
        let end = in_time(ends.recv()).await.unwrap();
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Remote), true));
    }
}

#[tokio::test]
async fn a_mebibyte_comes_back_whole_however_it_is_fragmented() {
    for fragments in [None, Some(1000), Some(100_000)] {
        let (url, _ends) = echo_server(CONFIG.auto_fragment(fragments)).await;
        let request = ClientRequest::new(&url).unwrap();
        let stream = TcpStream::connect((request.host(), request.port())).await.unwrap();
        let (mut socket, response) =
            in_time(connect_on(stream, &request, &CONFIG.auto_fragment(fragments))).await.unwrap();
        assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
        for seed in 0..3_u8 {
            let bytes: Vec<u8> = (0..MIB).map(|i| seed.wrapping_add(i.to_le_bytes()[i % 3])).collect();
            in_time(socket.send(&bytes[..])).await.unwrap();
            assert!(in_time(socket.recv()).await.unwrap().unwrap().as_bytes() == bytes, "{fragments:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_a_handler_sends_in_pieces_arrives_as_one() {
    let (url, _ends) = echo_server(CONFIG).await;
    let mut socket = in_time(connect(&url)).await.unwrap();
    socket.send("pieces").await.unwrap();
    assert_eq!(in_time(socket.recv()).await.unwrap(), Some(Message::from("abcd")));
}

#[tokio::test]
async fn both_ends_agree_on_a_close_that_the_client_begins() {
    let (url, mut ends) = echo_server(CONFIG).await;
    for frame in [CloseFrame::empty(), CloseFrame::new(CloseCode::new(4000).unwrap(), "enough").unwrap()] {
        let mut socket = in_time(connect(&url)).await.unwrap();
        let client = in_time(socket.close(frame.clone())).await;
        let server = in_time(ends.recv()).await.unwrap();
        assert_eq!(client.cause(), &Cause::Closed(Side::Local));
        assert_eq!(server.cause(), &Cause::Closed(Side::Remote));
        assert_eq!((client.sent(), server.received()), (Some(&frame), Some(&frame)));
        // The code is echoed, the reason is not.
        assert_eq!(client.received().map(CloseFrame::code), Some(frame.code()));
        assert_eq!(client.received(), server.sent());
        assert!(matches!(in_time(socket.recv()).await, Ok(None)));
        assert!(matches!(socket.send("m").await, Err(Error::Send(SendError::Closed))));
    }
}

#[tokio::test]
async fn both_ends_agree_on_a_close_that_the_server_begins() {
    let (url, mut ends) = echo_server(CONFIG).await;
    let mut socket = in_time(connect(&url)).await.unwrap();
    socket.send("before").await.unwrap();
    socket.send("stop").await.unwrap();
    assert_eq!(in_time(socket.recv()).await.unwrap(), Some(Message::from("before")));
    assert!(matches!(in_time(socket.recv()).await, Ok(None)));
    let (client, server) = (socket.disconnect().unwrap(), in_time(ends.recv()).await.unwrap());
    assert_eq!((client.cause(), server.cause()), (&Cause::Closed(Side::Remote), &Cause::Closed(Side::Local)));
    let frame = CloseFrame::new(CloseCode::GOING_AWAY, "as told").unwrap();
    assert_eq!((client.received(), server.sent()), (Some(&frame), Some(&frame)));
    assert!(client.is_clean() && server.is_clean());
}

#[tokio::test]
async fn a_peer_that_vanishes_is_an_error_once() {
    let (url, mut ends) = echo_server(CONFIG).await;
    drop(in_time(connect(&url)).await.unwrap());
    assert_eq!(in_time(ends.recv()).await.unwrap().cause(), &Cause::Lost);
    let (mut client, server) = pair().await;
    drop(server);
    in_time(client.recv()).await.unwrap_err();
    assert_eq!(client.disconnect().unwrap().cause(), &Cause::Lost);
    assert!(matches!(in_time(client.recv()).await, Ok(None)));
}

#[tokio::test]
async fn a_handshake_that_the_server_rejects_gives_its_response() {
    let (url, _ends) = echo_server(CONFIG).await;
    let error = in_time(connect(&url.replace("/chat", "/nowhere"))).await.unwrap_err();
    let Error::Rejected(response) = error else { panic!("{error:?}") };
    assert_eq!(response.status(), Status::NOT_FOUND);
    assert_eq!(response.body(), b"no /nowhere here");

    let (listener, url) = listen().await;
    let server = async {
        let incoming = incoming(listener.accept().await.unwrap().0, &CONFIG).await.unwrap();
        assert_eq!(incoming.request().header("x-token"), Some("wrong"));
        incoming
            .reject(Response::new(Status::UNAUTHORIZED).with_header("WWW-Authenticate", "Bearer").unwrap())
            .await
    };
    let request = ClientRequest::new(&url).unwrap().header("X-Token", "wrong").unwrap();
    let stream = TcpStream::connect((request.host(), request.port())).await.unwrap();
    let (client, server) =
        in_time(async { tokio::join!(connect_on(stream, &request, &DEFAULTS), server) }).await;
    server.unwrap();
    let Err(Error::Rejected(response)) = client else { panic!("{client:?}") };
    assert_eq!(
        (response.status(), response.header("www-authenticate")),
        (Status::UNAUTHORIZED, Some("Bearer"))
    );
}

#[tokio::test]
async fn a_server_chooses_a_subprotocol() {
    let (listener, url) = listen().await;
    let server = async {
        let incoming = incoming(listener.accept().await.unwrap().0, &CONFIG).await.unwrap();
        assert_eq!(incoming.request().subprotocols().collect::<Vec<_>>(), ["one", "two"]);
        incoming.accept(Accept::new().subprotocol("two")).await.unwrap()
    };
    let request = ClientRequest::new(&url).unwrap().subprotocol("one").unwrap().subprotocol("two").unwrap();
    let stream = TcpStream::connect((request.host(), request.port())).await.unwrap();
    let (client, server) =
        in_time(async { tokio::join!(connect_on(stream, &request, &DEFAULTS), server) }).await;
    for socket in [&client.unwrap().0, &server] {
        assert_eq!(socket.connection().agreed().unwrap().subprotocol(), Some("two"));
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_websocket_is_told_apart() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (answer, cause) in [
        ("220 mail.example.com ESMTP\r\n\r\n", Some(Cause::Handshake(HandshakeError::Malformed))),
        (page, None),
        ("", Some(Cause::Lost)),
    ] {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (client, ()) = in_time(async { tokio::join!(connect(&url), server) }).await;
        match (client.unwrap_err(), cause) {
            (Error::Rejected(response), None) => {
                assert_eq!((response.status(), response.body()), (Status::OK, &b"hello"[..]));
            }
            (error, cause) => assert_eq!(error.cause(), cause.as_ref(), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn urls_that_cannot_be_connected_to_are_errors_of_their_own() {
    let error = connect("wss://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::Unsupported), "{error:?}");
    let error = connect("http://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(error, Error::Url(_)), "{error:?}");
    let (listener, url) = listen().await;
    drop(listener);
    let error = in_time(connect(&url)).await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused), "{error:?}");
}

#[tokio::test]
async fn an_ipv6_address_stands_in_brackets() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = async { accept(listener.accept().await.unwrap().0).await.unwrap() };
    let (client, _server) = in_time(async { tokio::join!(connect(&url), server) }).await;
    assert_eq!(client.unwrap().connection().state(), State::Open);
}

#[tokio::test]
async fn the_server_closes_the_stream_and_the_client_waits_for_that() {
    // A client by hand: it goes on holding its end.
    let (url, mut ends) = echo_server(CONFIG).await;
    let request = ClientRequest::new(&url).unwrap();
    let mut stream = TcpStream::connect((request.host(), request.port())).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    stream.write_all(&wire::close(Role::Server, 1000, "")).await.unwrap();
    let mut all = Vec::new();
    in_time(stream.read_to_end(&mut all)).await.unwrap();
    assert!(all.ends_with(&wire::close(Role::Client, 1000, "")));
    assert!(ends.try_recv().is_err(), "it waits for our end of the stream");
    drop(stream);
    assert!(in_time(ends.recv()).await.unwrap().is_clean());

    // A server by hand, with the library's handshake.
    let (client, server) = duplex(MIB);
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let (client, server) =
        in_time(async { tokio::join!(connect_on(client, &request, &DEFAULTS), accept(server)) }).await;
    let (mut client, (stream, _)) = (client.unwrap().0, server.unwrap().into_io());
    let mut stream = stream.0;
    let closing = tokio::spawn(async move { client.close(CloseCode::NORMAL_CLOSURE).await });
    let mut close = [0; 8];
    in_time(stream.read_exact(&mut close)).await.unwrap();
    stream.write_all(&wire::close(Role::Client, 1000, "")).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished());
    stream.shutdown().await.unwrap();
    assert!(in_time(closing).await.unwrap().is_clean());
    assert_eq!(in_time(stream.read(&mut close)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_task_receives_while_another_sends_more_than_the_sockets_hold() {
    let (url, _ends) = echo_server(CONFIG).await;
    let (mut sink, mut stream) = in_time(connect(&url)).await.unwrap().split();
    let sending = tokio::spawn(async move {
        for i in 0..200_u8 {
            sink.send(Message::from(vec![i; 100_000])).await.unwrap();
        }
        sink
    });
    for i in 0..200_u8 {
        let message = in_time(stream.next()).await.unwrap().unwrap();
        assert!(message.as_bytes() == vec![i; 100_000], "{i}");
    }
    let mut sink = in_time(sending).await.unwrap();
    let (closed, next) =
        in_time(async { tokio::join!(sink.close(CloseCode::NORMAL_CLOSURE), stream.next()) }).await;
    assert!(closed.is_clean() && next.is_none());
}

#[tokio::test]
async fn a_recv_that_loses_a_select_again_and_again_loses_no_message() {
    let (mut client, mut server) = pair().await;
    let sending = tokio::spawn(async move {
        for i in 0..500_usize {
            client.send(vec![1; i * 37 % 5000]).await.unwrap();
        }
        client
    });
    let mut received = 0;
    while received < 500 {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            message = server.recv() => {
                assert_eq!(message.unwrap().unwrap().len(), received * 37 % 5000);
                received += 1;
            }
        }
    }
    in_time(sending).await.unwrap();
}

#[tokio::test]
async fn dropping_serve_takes_no_more_connections_and_keeps_those_there_are() {
    let (listener, url) = listen().await;
    let (ends, _told) = mpsc::unbounded_channel();
    let serving = tokio::spawn(serve(listener, CONFIG, move |_| Echo(ends.clone())));
    let mut socket = in_time(connect(&url)).await.unwrap();
    serving.abort();
    assert!(in_time(serving).await.unwrap_err().is_cancelled());
    in_time(connect(&url)).await.unwrap_err();
    socket.send("m").await.unwrap();
    assert_eq!(in_time(socket.recv()).await.unwrap(), Some(Message::from("m")));
}

mod time {
    //! On tokio's clock, which leaps ahead when nothing else is to be done.

    use super::*;

    async fn open(
        client: &Config,
        server: &Config,
    ) -> (WebSocket<tokio::io::DuplexStream>, WebSocket<tokio::io::DuplexStream>) {
        let (one, other) = duplex(4096);
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let accepted = async { incoming(other, server).await.unwrap().accept(Accept::new()).await.unwrap() };
        let (client, server) = tokio::join!(connect_on(one, &request, client), accepted);
        (client.unwrap().0, server)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_given_up_after_the_idle_and_the_close_timeout() {
        let (_client, mut server) = open(&CONFIG, &CONFIG).await;
        let began = Instant::now();
        let error = server.recv().await.unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Idle)));
        assert_eq!(began.elapsed().as_secs(), 65);
        assert!(matches!(server.recv().await, Ok(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_is_kept_alive_from_one_side() {
        let (mut client, mut server) = open(&CONFIG.idle_timeout(None), &CONFIG).await;
        let quiet = async { tokio::join!(client.recv(), server.recv()) };
        assert!(
            tokio::time::timeout(Duration::from_secs(3600), quiet).await.is_err(),
            "nobody says anything"
        );
        for socket in [&client, &server] {
            assert_eq!(socket.connection().state(), State::Open);
        }
        assert!(server.connection().latency().is_some() && client.connection().latency().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_is_told_of_a_peer_that_went_silent() {
        struct Ends(Arc<Mutex<Vec<Disconnect>>>);
        impl Handler for Ends {
            type Info = ();

            fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
                Ok(())
            }

            fn close(&mut self, disconnect: &Disconnect) {
                self.0.lock().unwrap().push(disconnect.clone());
            }
        }
        let ends = Arc::default();
        let (mut one, other) = duplex(4096);
        one.write_all(REQUEST).await.unwrap();
        let config = CONFIG.keepalive(Keepalive::Every(Duration::from_secs(7)));
        let began = Instant::now();
        let end = serve_connection(other, config, Ends(Arc::clone(&ends))).await.unwrap();
        assert_eq!(end.cause(), &Cause::TimedOut(Timer::Idle));
        assert_eq!(*ends.lock().unwrap(), [end]);
        assert_eq!(began.elapsed().as_secs(), 65);
        let mut all = Vec::new();
        one.read_to_end(&mut all).await.unwrap();
        let head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let pings = wire::parse(&all[head..]).iter().filter(|frame| frame.first == 0x89).count();
        assert_eq!(pings, 8, "every 7 s for 60 s");
    }

    #[tokio::test(start_paused = true)]
    async fn close_waits_for_a_peer_that_does_not_answer_for_5_seconds() {
        let (mut client, _server) = open(&CONFIG, &CONFIG).await;
        let began = Instant::now();
        let end = client.close(CloseCode::NORMAL_CLOSURE).await;
        assert_eq!((end.cause(), end.is_clean()), (&Cause::TimedOut(Timer::Close), false));
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_may_take_10_seconds_on_either_side() {
        let (one, _other) = duplex(4096);
        let began = Instant::now();
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let error = connect_on(one, &request, &DEFAULTS).await.unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Handshake)));
        assert_eq!(began.elapsed().as_secs(), 10);
        let (_one, other) = duplex(4096);
        let error = accept(other).await.unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Handshake)));
        assert_eq!(began.elapsed().as_secs(), 20);
    }
}
