//! TLS by the platform's library, on both sides, and on one with rustls on the other.
#![cfg(all(feature = "runtimes", not(miri)))]
#![cfg(feature = "native-tls")]

use core::future::Future;
use core::time::Duration;

use sansocket::{Cause, ClientRequest, CloseCode, Config, Disconnect, Message, Side};
use sansocket_tests::certificates::Authority;
use sansocket_tokio::{Connector, Error, Handler, MaybeTls, Outcome, Reply, Server};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const CONFIG: Config = Config::new().max_message(16 << 20);
const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

/// Fails instead of hanging.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Echoes, and closes when it is told to; what it is told about the end goes into the channel.
struct Echo(mpsc::UnboundedSender<Disconnect>);

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match message.as_text() {
            Some("stop") => reply.close(CloseCode::GOING_AWAY),
            _ => reply.send(message)?,
        }
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        // A test may have seen enough.
        let _ = self.0.send(disconnect.clone());
    }
}

async fn serve(server: Server) -> (ClientRequest, mpsc::UnboundedReceiver<Disconnect>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = ClientRequest::new(&format!("wss://{}/", listener.local_addr().unwrap())).unwrap();
    let (told, ends) = mpsc::unbounded_channel();
    tokio::spawn(server.serve(listener, move |_| Echo(told.clone())));
    (request, ends)
}

async fn converse(connector: Connector, server: Server) {
    let (request, mut ends) = serve(server).await;
    let connector = connector.config(CONFIG);
    let large: Vec<u8> = (0..4_usize << 20).map(|i| (i * i % 251).to_le_bytes()[0]).collect();
    for closes in [Side::Local, Side::Remote] {
        let mut socket = in_time(connector.connect(&request)).await.unwrap().0;
        for message in [&[][..], b"m", &large] {
            in_time(socket.send(message)).await.unwrap();
            assert!(in_time(socket.recv()).await.unwrap().unwrap().as_bytes() == message);
        }
        let client = match closes {
            Side::Local => in_time(socket.close(CloseCode::NORMAL_CLOSURE)).await,
            Side::Remote => {
                socket.send("stop").await.unwrap();
                assert_eq!(in_time(socket.recv()).await.unwrap(), None);
                socket.disconnect().unwrap().clone()
            }
        };
        let server = in_time(ends.recv()).await.unwrap();
        assert_eq!(client.cause(), &Cause::Closed(closes));
        assert!(client.is_clean() && server.is_clean(), "{client:?} {server:?}");
    }
}

#[tokio::test]
async fn the_platforms_library_on_both_sides() {
    let authority = Authority::default();
    let client = Connector::new().native_tls(authority.native_client());
    converse(client, Server::new(CONFIG).native_tls(authority.native_server(LOCAL))).await;
}

#[tokio::test]
async fn the_platforms_library_and_a_server_on_rustls() {
    let authority = Authority::default();
    let client = Connector::new().native_tls(authority.native_client());
    converse(client, Server::new(CONFIG).rustls(authority.server(LOCAL).into())).await;
}

#[tokio::test]
async fn the_platforms_library_and_a_client_on_rustls() {
    let authority = Authority::default();
    let client = Connector::new().rustls(authority.client().into());
    converse(client, Server::new(CONFIG).native_tls(authority.native_server(LOCAL))).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_of_another_name_is_an_error_that_says_so() {
    let (authority, other) = (Authority::default(), Authority::default());
    for (client, names) in [(&other, LOCAL), (&authority, &["example.com"])] {
        let (request, _) = serve(Server::new(CONFIG).native_tls(authority.native_server(names))).await;
        let connector = Connector::new().native_tls(client.native_client());
        let error = in_time(connector.connect(&request)).await.unwrap_err();
        assert!(matches!(error, Error::Io(_)) && error.to_string().contains("certificate"), "{error:?}");
    }
}

#[tokio::test]
async fn the_peers_certificate_can_be_looked_at() {
    let authority = Authority::default();
    let (request, _) = serve(Server::new(CONFIG).native_tls(authority.native_server(LOCAL))).await;
    let connector = Connector::new().native_tls(authority.native_client());
    let socket = in_time(connector.connect(&request)).await.unwrap().0;
    let MaybeTls::NativeTls(stream) = socket.io() else { panic!("{socket:?}") };
    assert!(stream.peer_certificate().unwrap().is_some());
}

#[tokio::test]
async fn a_peer_that_vanishes_is_lost() {
    let authority = Authority::default();
    let (request, mut ends) = serve(Server::new(CONFIG).native_tls(authority.native_server(LOCAL))).await;
    let connector = Connector::new().native_tls(authority.native_client());
    drop(in_time(connector.connect(&request)).await.unwrap());
    assert_eq!(in_time(ends.recv()).await.unwrap().cause(), &Cause::Lost);
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_off() {
    let server = Server::new(CONFIG).native_tls(Authority::default().native_server(LOCAL));
    let time = Duration::from_millis(200);
    let (request, _) = serve(server.tls_timeout(Some(time))).await;
    let began = std::time::Instant::now();
    let mut silent = TcpStream::connect((request.host(), request.port())).await.unwrap();
    assert_eq!(in_time(silent.read(&mut [0])).await.unwrap(), 0);
    assert!((time..10 * time).contains(&began.elapsed()));
}
