//! TLS by rustls on real sockets: what the adapters do with it, and what a peer sees that is not ours.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use sansocket::{
    Cause, ClientRequest, CloseCode, CloseFrame, Config, Connection, Disconnect, Message, Role, Side,
};
use sansocket_tests::certificates::{self, Authority};
use sansocket_tests::scripted::REQUEST;
use sansocket_tests::{START, receive_accepting, take_output, wire};
use sansocket_tokio::{Connected, Connector, Error, Handler, MaybeTls, Outcome, Reply, Server, ServerHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const CONFIG: Config = Config::new();
const MIB: usize = 1 << 20;
const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

/// Fails instead of hanging.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Greets, echoes, and closes when it is told to; what it is told about the end goes into the channel.
struct Echo(mpsc::UnboundedSender<Disconnect>);

impl Handler for Echo {
    type Info = ();

    fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send("welcome")?)
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match message.as_text() {
            Some("stop") => reply.close(CloseFrame::new(CloseCode::GOING_AWAY, "as told")?),
            _ => reply.send(message)?,
        }
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        // A test may have seen enough.
        let _ = self.0.send(disconnect.clone());
    }
}

struct Served {
    url: String,
    address: SocketAddr,
    ends: mpsc::UnboundedReceiver<Disconnect>,
    handle: ServerHandle,
}

/// A server of `Echo`s on tokio.
async fn serve(config: Config, tls: ServerConfig, tls_timeout: Duration) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, ends) = mpsc::unbounded_channel();
    let server = Server::new(config).rustls(tls.into()).tls_timeout(Some(tls_timeout));
    let handle = server.handle();
    tokio::spawn(server.serve(listener, move |_| Echo(told.clone())));
    Served { url: format!("wss://{address}/chat"), address, ends, handle }
}

async fn serve_simply(authority: &Authority) -> Served {
    serve(CONFIG, authority.server(LOCAL), Duration::from_secs(10)).await
}

async fn connect(tls: ClientConfig, url: &str) -> Result<Connected, Error> {
    let request = ClientRequest::new(url).unwrap();
    let connector = Connector::new().rustls(tls.into()).config(CONFIG.max_message(16 << 20));
    Ok(in_time(connector.connect(&request)).await?.0)
}

/// A client that has read the greeting.
async fn welcomed(authority: &Authority, served: &Served) -> Connected {
    let mut socket = connect(authority.client(), &served.url).await.unwrap();
    assert_eq!(in_time(socket.recv()).await.unwrap(), Some(Message::from("welcome")));
    socket
}

/// The same conversation on each runtime: either side speaks first, and either side closes.
macro_rules! conversation {
    ($adapter:path, $listener:ty, $spawn:expr) => {{
        use $adapter::{Connector, Server};

        let authority = Authority::default();
        let listener = <$listener>::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://{}/chat", listener.local_addr().unwrap());
        let (told, mut ends) = mpsc::unbounded_channel();
        let server = Server::new(CONFIG).rustls(authority.server(LOCAL).into());
        $spawn(server.serve(listener, move |_| Echo(told.clone())));
        let connector = Connector::new().rustls(authority.client().into());
        let request = ClientRequest::new(&url).unwrap();
        for closes in [Side::Local, Side::Remote] {
            let (mut socket, _) = connector.connect(&request).await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), Some(Message::from("welcome")));
            for size in [0, 1, 125, 65_536, 100_000] {
                socket.send(vec![7; size]).await.unwrap();
                assert_eq!(socket.recv().await.unwrap(), Some(Message::from(vec![7; size])));
            }
            let client = match closes {
                Side::Local => socket.close(CloseCode::NORMAL_CLOSURE).await,
                Side::Remote => {
                    socket.send("stop").await.unwrap();
                    assert_eq!(socket.recv().await.unwrap(), None);
                    socket.disconnect().unwrap().clone()
                }
            };
            let server = ends.recv().await.unwrap();
            assert_eq!(client.cause(), &Cause::Closed(closes));
            assert!(client.is_clean() && server.is_clean(), "{client:?} {server:?}");
        }
    }};
}

#[tokio::test]
async fn tls_carries_a_conversation_on_tokio() {
    in_time(async { conversation!(sansocket_tokio, TcpListener, tokio::spawn) }).await;
}

#[test]
fn tls_carries_a_conversation_on_async_std() {
    async_std::task::block_on(async {
        conversation!(sansocket_async_std, async_std::net::TcpListener, async_std::task::spawn);
    });
}

#[test]
fn tls_carries_a_conversation_on_smol() {
    smol::block_on(async {
        conversation!(sansocket_async_std::smol, smol::net::TcpListener, |task| smol::spawn(task).detach());
    });
}

#[tokio::test]
async fn four_mebibytes_come_back_whole() {
    let authority = Authority::default();
    let served = serve(CONFIG.max_message(16 << 20), authority.server(LOCAL), Duration::from_secs(10)).await;
    let mut socket = welcomed(&authority, &served).await;
    let message: Vec<u8> = (0..4 * MIB).map(|i| (i * i % 251).to_le_bytes()[0]).collect();
    for _ in 0..2 {
        in_time(socket.send(&message[..])).await.unwrap();
        let echo = in_time(socket.recv()).await.unwrap().unwrap();
        assert!(echo.as_bytes() == message);
    }
    assert!(in_time(socket.close(CloseCode::NORMAL_CLOSURE)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_may_send_more_than_the_sockets_hold() {
    let authority = Authority::default();
    let served = serve_simply(&authority).await;
    let (mut sender, mut receiver) = welcomed(&authority, &served).await.split();
    let sending = tokio::spawn(async move {
        for i in 0..100_u8 {
            sender.send(vec![i; 200_000]).await.unwrap();
        }
    });
    for i in 0..100_u8 {
        let message = in_time(receiver.recv()).await.unwrap().unwrap();
        assert!(message.as_bytes() == vec![i; 200_000], "{i}");
    }
    in_time(sending).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_trusted_is_an_error_that_says_so() {
    let mut served = serve_simply(&Authority::default()).await;
    let error = connect(Authority::default().client(), &served.url).await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::InvalidData), "{error:?}");
    assert!(error.to_string().starts_with("invalid peer certificate: "), "{error}");
    // The server sees no WebSocket, and nothing of this connection is left.
    in_time(async {
        while served.handle.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(served.ends.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_of_another_name_is_an_error_that_says_so() {
    let authority = Authority::default();
    let served =
        serve(CONFIG, authority.server(&["example.com", "127.0.0.2"]), Duration::from_secs(10)).await;
    let error = connect(authority.client(), &served.url).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("not valid for name \"127.0.0.1\""), "{text}");
}

/// Notes the names that clients ask for.
#[derive(Debug)]
struct Names(Arc<CertifiedKey>, Mutex<Vec<Option<String>>>);

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.1.lock().unwrap().push(hello.server_name().map(str::to_owned));
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_name_is_sent_to_the_server_and_an_address_is_not() {
    let authority = Authority::default();
    let names = Arc::new(Names(authority.certified_key(LOCAL), Mutex::default()));
    let tls = certificates::with_ring(ServerConfig::builder_with_provider)
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&names) as _);
    let served = serve(CONFIG, tls, Duration::from_secs(10)).await;
    // RFC 6066 §3: literal addresses are not permitted in `HostName`.
    welcomed(&authority, &served).await;
    connect(authority.client(), &served.url.replace("127.0.0.1", "localhost")).await.unwrap();
    assert_eq!(*names.1.lock().unwrap(), [None, Some("localhost".to_owned())]);
}

#[tokio::test]
async fn an_ipv6_address_is_certified_without_its_brackets() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let authority = Authority::default();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let (told, _ends) = mpsc::unbounded_channel();
    let server = Server::new(CONFIG).rustls(authority.server(&["::1"]).into());
    tokio::spawn(server.serve(listener, move |_| Echo(told.clone())));
    connect(authority.client(), &url).await.unwrap();
}

#[tokio::test]
async fn http_2_is_not_offered_even_if_the_configuration_has_it() {
    let authority = Authority::default();
    let protocols = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut tls = authority.server(LOCAL);
    tls.alpn_protocols = protocols(&["h2", "http/1.1"]);
    let served = serve(CONFIG, tls, Duration::from_secs(10)).await;
    for (configured, agreed) in
        [(&[][..], None), (&["h2", "http/1.1"], Some(&b"http/1.1"[..])), (&["h2"], None)]
    {
        let mut tls = authority.client();
        tls.alpn_protocols = protocols(configured);
        let socket = connect(tls, &served.url).await.unwrap();
        let MaybeTls::Rustls(stream) = socket.io() else { panic!("{socket:?}") };
        assert_eq!(stream.connection().alpn_protocol(), agreed);
        assert_eq!(socket.io().io().0.peer_addr().unwrap(), served.address);
    }
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_off_while_other_connections_go_on() {
    let authority = Authority::default();
    let time = Duration::from_millis(500);
    let mut served = serve(CONFIG, authority.server(LOCAL), time).await;
    let mut open = welcomed(&authority, &served).await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut stalled = TcpStream::connect(served.address).await.unwrap();
    // The beginning of a record.
    stalled.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let cut_off = async {
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        assert!((time..10 * time).contains(&began.elapsed()));
        let _ = stalled.read(&mut [0]).await;
    };
    let goes_on = async {
        for _ in 0..20 {
            open.send("still here").await.unwrap();
            assert_eq!(open.recv().await.unwrap(), Some(Message::from("still here")));
            tokio::time::sleep(time / 10).await;
        }
    };
    in_time(async { tokio::join!(cut_off, goes_on) }).await;
    assert_eq!(served.handle.connections(), 1);
    assert!(served.ends.try_recv().is_err(), "no handler was told of them");
}

#[tokio::test]
async fn a_server_that_never_answers_the_handshake_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = ClientRequest::new(&format!("wss://{}/", listener.local_addr().unwrap())).unwrap();
    let time = Duration::from_millis(200);
    let connector = Connector::new().rustls(Authority::default().client().into()).timeout(Some(time));
    let error = in_time(connector.connect(&request)).await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_turned_away() {
    let served = serve_simply(&Authority::default()).await;
    let error = in_time(sansocket_tokio::connect(&served.url.replace("wss", "ws"))).await.unwrap_err();
    assert!(error.cause().is_some(), "{error:?}");
    in_time(async {
        while served.handle.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[cfg(not(any(feature = "native-tls", feature = "rustls-native-certs", feature = "webpki-roots")))]
#[tokio::test]
async fn wss_without_roots_or_a_configuration_is_an_error_before_anything_is_dialled() {
    let error = sansocket_tokio::connect("wss://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::Unsupported), "{error:?}");
    assert!(error.to_string().contains("Connector::rustls"), "{error}");
}

mod by_hand {
    //! One end is rustls on a blocking socket: it sees what is on the wire.

    use super::*;

    type ByHand<C> = StreamOwned<C, std::net::TcpStream>;

    /// Reads to the end, which must come behind `close_notify`: rustls makes an error of any other.
    fn read_to_end(mut stream: impl Read) -> Vec<u8> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a `close_notify`");
        all
    }

    fn read_head(mut stream: impl Read) -> Vec<u8> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        head
    }

    /// Runs `server` on the stream of a client that it has opened a WebSocket for.
    async fn client_of(
        authority: &Authority,
        server: impl FnOnce(ByHand<ServerConnection>) + Send + 'static,
    ) -> (Connected, std::thread::JoinHandle<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{}/", listener.local_addr().unwrap());
        let tls = Arc::new(authority.server(LOCAL));
        let thread = std::thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), socket);
            let mut connection = Connection::server(&CONFIG, START);
            receive_accepting(&mut connection, START, &read_head(&mut stream));
            stream.write_all(&take_output(&mut connection)).unwrap();
            server(stream);
        });
        (connect(authority.client(), &url).await.unwrap(), thread)
    }

    /// Runs `client` on a stream that it has a WebSocket on, behind the greeting.
    async fn client_at(
        authority: &Authority,
        served: &Served,
        client: impl FnOnce(ByHand<ClientConnection>) + Send + 'static,
    ) {
        let (tls, address) = (Arc::new(authority.client()), served.address);
        let thread = move || {
            let name = "127.0.0.1".try_into().unwrap();
            let socket = std::net::TcpStream::connect(address).unwrap();
            let mut stream = StreamOwned::new(ClientConnection::new(tls, name).unwrap(), socket);
            stream.write_all(REQUEST).unwrap();
            read_head(&mut stream);
            stream.read_exact(&mut [0; 2 + "welcome".len()]).unwrap();
            client(stream);
        };
        in_time(tokio::task::spawn_blocking(thread)).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_says_close_notify_behind_its_close_frame() {
        let authority = Authority::default();
        let mut served = serve_simply(&authority).await;
        client_at(&authority, &served, |mut stream| {
            stream.write_all(&wire::close(Role::Server, 1000, "")).unwrap();
            assert_eq!(read_to_end(&mut stream), wire::close(Role::Client, 1000, ""));
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        })
        .await;
        assert!(in_time(served.ends.recv()).await.unwrap().is_clean());
    }

    #[tokio::test]
    async fn a_client_says_close_notify_once_the_server_has() {
        let authority = Authority::default();
        let (mut client, server) = client_of(&authority, |mut stream| {
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(&wire::close(Role::Client, 1000, "")).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            assert_eq!(read_to_end(stream), b"");
        })
        .await;
        let end = in_time(client.close(CloseCode::NORMAL_CLOSURE)).await;
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Local), true));
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_ends_without_close_notify_behind_both_close_frames_has_ended_in_order() {
        let authority = Authority::default();
        let mut served = serve_simply(&authority).await;
        client_at(&authority, &served, |mut stream| {
            stream.write_all(&wire::close(Role::Server, 1000, "")).unwrap();
            read_to_end(&mut stream);
        })
        .await;
        assert!(in_time(served.ends.recv()).await.unwrap().is_clean());

        let (mut client, server) = client_of(&authority, |mut stream| {
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(&wire::close(Role::Client, 1000, "")).unwrap();
        })
        .await;
        client.start_close(CloseCode::NORMAL_CLOSURE);
        assert_eq!(in_time(client.recv()).await.unwrap(), None);
        assert!(client.disconnect().unwrap().is_clean());
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_ends_without_close_notify_in_the_middle_is_lost() {
        let authority = Authority::default();
        let mut served = serve_simply(&authority).await;
        client_at(&authority, &served, |_| {}).await;
        assert_eq!(in_time(served.ends.recv()).await.unwrap().cause(), &Cause::Lost);

        let (mut client, server) = client_of(&authority, |mut stream| {
            // The rest of this frame never comes.
            stream.write_all(&[0x82, 100, 1, 2, 3]).unwrap();
        })
        .await;
        let error = in_time(client.recv()).await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof), "{error:?}");
        assert_eq!(client.disconnect().unwrap().cause(), &Cause::Lost);
        assert_eq!(in_time(client.recv()).await.unwrap(), None);
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_record_that_is_not_genuine_ends_the_connection_with_an_error() {
        let authority = Authority::default();
        let (mut client, server) = client_of(&authority, |mut stream| {
            stream.write_all(&wire::frame(Role::Client, wire::TEXT, "genuine")).unwrap();
            // An application record (RFC 8446 §5.2) that nobody has sealed.
            let forged = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
            stream.sock.write_all(&forged).unwrap();
            let mut rest = Vec::new();
            let error = stream.read_to_end(&mut rest).unwrap_err();
            assert!(error.to_string().contains("BadRecordMac"), "it is told why: {error}");
        })
        .await;
        assert_eq!(in_time(client.recv()).await.unwrap(), Some(Message::from("genuine")));
        let error = in_time(client.recv()).await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::InvalidData), "{error:?}");
        server.join().unwrap();
    }
}
