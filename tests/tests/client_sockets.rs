//! Proxies, redirections and connecting again on real sockets, on every runtime. Servers and proxies are
//! threads.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::Future;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sansocket::{ClientRequest, Config, Connection, Event, Message, Status};
use sansocket_driver::{Backoff, Connector, Error, Proxy, ProxyError, Reconnect, Runtime};
use sansocket_tests::certificates::Authority;
use sansocket_tests::{START, receive_accepting, take_output};

/// Calls `serve` with every connection, in a thread of its own.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let serve = serve.clone();
            spawn(move || serve(stream));
        }
    });
    address
}

/// Reads what ends with an empty line.
fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Sends messages back, behind the path that was asked for, and goes after so many.
fn echo(mut stream: impl Read + Write, most: usize) {
    let mut server = Connection::server(&Config::new(), START);
    let (mut path, mut echoes, mut buffer) = (String::new(), 0, [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        for event in receive_accepting(&mut server, START, &buffer[..n]).0 {
            match event {
                Event::Request(request) => path = request.path().into(),
                Event::Message(message) => {
                    let text = [path.as_bytes(), message.as_bytes()].concat();
                    server.send(Message::from(String::from_utf8(text).unwrap())).unwrap();
                    echoes += 1;
                }
                _ => {}
            }
        }
        stream.write_all(&take_output(&mut server)).unwrap();
        if echoes == most {
            return;
        }
    }
}

/// Moves bytes between two streams until both have ended.
fn splice(one: &TcpStream, other: &TcpStream) {
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (from, to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    let back = spawn(move || pump(from, to));
    pump(other.try_clone().unwrap(), one.try_clone().unwrap());
    back.join().unwrap();
}

/// An HTTP proxy that knows one server, whatever it is called; what it is asked for.
fn http_proxy(server: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let (asked, told) = channel();
    let serve = move |mut client: TcpStream| {
        asked.send(read_head(&mut client)).unwrap();
        let server = TcpStream::connect(server).unwrap();
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: me\r\n\r\n").unwrap();
        splice(&client, &server);
    };
    (listen(serve), told)
}

/// A SOCKS proxy that wants to know who one is, and knows one server; the names that it is asked for.
fn socks_proxy(server: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let (asked, told) = channel();
    (listen(move |client| socks(client, server, &asked)), told)
}

fn socks(mut client: TcpStream, server: SocketAddr, asked: &Sender<String>) {
    assert_eq!(read(&mut client, 4), [5, 2, 0, 2]);
    client.write_all(&[5, 2]).unwrap();
    assert_eq!(read(&mut client, 3), [1, 2, b'm']);
    assert_eq!(read(&mut client, 2), *b"e\x06");
    let knows = read(&mut client, 6) == b"sesame";
    client.write_all(&[1, u8::from(!knows)]).unwrap();
    if knows {
        assert_eq!(read(&mut client, 4), [5, 1, 0, 3]);
        let len = read(&mut client, 1)[0];
        let name = read(&mut client, len.into());
        let port = read(&mut client, 2);
        asked
            .send(format!("{}:{}", String::from_utf8(name).unwrap(), u16::from_be_bytes([port[0], port[1]])))
            .unwrap();
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).unwrap();
        splice(&client, &TcpStream::connect(server).unwrap());
    }
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// The server's side of TLS.
fn tls(config: &Arc<ServerConfig>, stream: TcpStream) -> impl Read + Write {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

/// Says hello to the server of a request; its echo.
async fn hello<R: Runtime>(connector: &Connector<R>, url: &str) -> Result<Option<Message<'static>>, Error> {
    let (mut socket, _) = connector.connect(&ClientRequest::new(url)?).await?;
    socket.send("hello").await?;
    socket.recv().await
}

/// Names that no resolver knows are known to proxies (RFC 6761 §6.4).
async fn a_proxy_tunnels<R: Runtime>(connector: Connector<R>) {
    let (proxy, asked) = http_proxy(listen(|stream| echo(stream, usize::MAX)));
    let through = connector.clone().proxy(Proxy::new(&format!("http://me:sesame@{proxy}")).unwrap());
    let echo_of = |text: &'static str| Some(Message::from(text));
    assert_eq!(hello(&through, "ws://nowhere.invalid/a").await.unwrap(), echo_of("/ahello"));
    let head = asked.recv().unwrap();
    assert!(head.starts_with("CONNECT nowhere.invalid:80 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic bWU6c2VzYW1l\r\n"), "{head}");

    let (proxy, asked) = socks_proxy(listen(|stream| echo(stream, usize::MAX)));
    let through = connector.clone().proxy(Proxy::new(&format!("socks5h://me:sesame@{proxy}")).unwrap());
    assert_eq!(hello(&through, "ws://nowhere.invalid:81/b").await.unwrap(), echo_of("/bhello"));
    assert_eq!(asked.recv().unwrap(), "nowhere.invalid:81");

    let through = connector.proxy(Proxy::new(&format!("socks5://me:sesamo@{proxy}")).unwrap());
    let refused = hello(&through, "ws://nowhere.invalid/").await;
    assert!(matches!(refused, Err(Error::Proxy(ProxyError::Login))), "{refused:?}");
}

async fn a_redirection_is_followed<R: Runtime>(connector: Connector<R>) {
    let server = listen(|stream| echo(stream, usize::MAX));
    let (asked, told) = channel();
    let first = listen(move |mut stream| {
        asked.send(read_head(&mut stream)).unwrap();
        let head = format!("HTTP/1.1 307 \r\nLocation: http://{server}/there\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    });
    let url = format!("ws://{first}/here");
    let answer = hello(&connector.clone().redirects(1), &url).await.unwrap();
    assert_eq!(answer, Some(Message::from("/therehello")));
    assert!(told.recv().unwrap().starts_with("GET /here HTTP/1.1\r\n"));
    match hello(&connector, &url).await {
        Err(Error::Rejected(response)) => assert_eq!(response.status().get(), 307),
        other => panic!("{other:?}"),
    }
}

/// The name of the server is the one in its certificate, and the proxy's is not looked for.
async fn a_proxy_tunnels_tls<R: Runtime>(connector: Connector<R>) {
    let authority = Authority::default();
    let config = Arc::new(authority.server(&["nowhere.invalid"]));
    let server = listen(move |stream| echo(tls(&config, stream), usize::MAX));
    let connector = connector.rustls(authority.client().into());
    for (scheme, (proxy, asked)) in
        [("http://", http_proxy(server)), ("socks5h://me:sesame@", socks_proxy(server))]
    {
        let through = connector.clone().proxy(Proxy::new(&format!("{scheme}{proxy}")).unwrap());
        let answer = hello(&through, "wss://nowhere.invalid/a").await.unwrap();
        assert_eq!(answer, Some(Message::from("/ahello")));
        assert!(asked.recv().unwrap().contains("nowhere.invalid:443"));
        let other = hello(&through, "wss://elsewhere.invalid/").await.unwrap_err();
        assert!(other.to_string().contains("not valid for name"), "{other}");
    }
}

async fn a_redirection_leads_into_tls_and_not_out<R: Runtime>(connector: Connector<R>) {
    let authority = Authority::default();
    let config = Arc::new(authority.server(&["localhost"]));
    let secret = Arc::clone(&config);
    let server = listen(move |stream| echo(tls(&secret, stream), usize::MAX));
    let to = |url: String| format!("302 \r\nLocation: {url}");
    let lines = to(format!("https://localhost:{}/there", server.port()));
    let first = listen(move |mut stream| answer(&mut stream, &lines));
    let connector = connector.rustls(authority.client().into()).redirects(2);
    let answered = hello(&connector, &format!("ws://{first}/")).await.unwrap();
    assert_eq!(answered, Some(Message::from("/therehello")));

    let plain = listen(|stream| echo(stream, usize::MAX));
    let lines = to(format!("http://{plain}/there"));
    let first = listen(move |stream| answer(&mut tls(&config, stream), &lines));
    let stays = hello(&connector, &format!("wss://localhost:{}/", first.port())).await;
    assert!(matches!(&stays, Err(Error::Rejected(response)) if response.status().get() == 302), "{stays:?}");
}

/// With a server that has something else for every visitor, until it is gone for good.
async fn a_client_comes_back<R: Runtime>(connector: Connector<R>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    let server = listen(move |mut stream| match counted.fetch_add(1, Ordering::SeqCst) {
        0 | 3 => drop(stream),
        1 => answer(&mut stream, "503 \r\nRetry-After: 0"),
        2 | 4 => echo(stream, 1),
        _ => answer(&mut stream, "404 "),
    });
    let request = ClientRequest::new(&format!("ws://{server}/")).unwrap();
    let backoff = Backoff::new().first(Duration::from_millis(1)).longest(Duration::from_millis(5));
    let mut client = Reconnect::new(connector, request).backoff(backoff);
    let mut echoes = 0;
    let end = loop {
        let mut socket = match client.connect().await {
            Ok(socket) => socket,
            Err(error) => break error,
        };
        socket.send("x").await.unwrap();
        while let Ok(Some(message)) = socket.recv().await {
            assert_eq!(message, Message::from("/x"));
            echoes += 1;
        }
    };
    assert!(matches!(end, Error::Rejected(response) if response.status() == Status::NOT_FOUND));
    assert_eq!((echoes, visits.load(Ordering::SeqCst)), (2, 6));
}

fn answer(stream: &mut (impl Read + Write), lines: &str) {
    read_head(stream);
    stream.write_all(format!("HTTP/1.1 {lines}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
}

/// The same on each runtime; a test that hangs fails.
macro_rules! on {
    ($runtime:ident, $connector:ty, $run:expr) => {
        mod $runtime {
            use super::*;

            fn run(test: impl Future<Output = ()> + Send + 'static) {
                let (done, end) = channel();
                spawn(move || {
                    $run(test);
                    done.send(()).unwrap();
                });
                end.recv_timeout(Duration::from_secs(60)).unwrap();
            }

            #[test]
            fn a_proxy_tunnels_to_a_server_that_only_it_knows() {
                run(a_proxy_tunnels(<$connector>::new()));
            }

            #[test]
            fn a_proxy_tunnels_tls_to_the_server_whose_name_was_asked_for() {
                run(a_proxy_tunnels_tls(<$connector>::new()));
            }

            #[test]
            fn a_redirection_leads_from_ws_to_wss_and_not_back() {
                run(a_redirection_leads_into_tls_and_not_out(<$connector>::new()));
            }

            #[test]
            fn a_redirection_is_followed_if_it_may_be() {
                run(a_redirection_is_followed(<$connector>::new()));
            }

            #[test]
            fn a_client_comes_back_to_a_server_that_comes_and_goes() {
                run(a_client_comes_back(<$connector>::new()));
            }
        }
    };
}

on!(tokio, sansocket_tokio::Connector, |test| {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
});
on!(async_std, sansocket_async_std::Connector, ::async_std::task::block_on);
on!(smol, sansocket_async_std::smol::Connector, ::smol::block_on);
