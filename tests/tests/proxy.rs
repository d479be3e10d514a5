//! Through proxies, word for word: HTTP's CONNECT (RFC 9110 §9.3.6) and SOCKS 5 (RFC 1928, RFC 1929).
#![cfg(feature = "driver")]

use core::task::Poll;
use std::io::ErrorKind;

use sansocket::{ClientRequest, Status};
use sansocket_driver::{Connector, Error, InvalidProxy, Proxy, ProxyError};
use sansocket_tests::lab::{self, Lab};
use sansocket_tests::scripted::{Step, Task, stream};

const HTTP: &str = "http://proxy.example:3128";
const SOCKS: &str = "socks5://proxy.example";
const SERVER: &str = "ws://server.example/chat";
const OK: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// What the client says to a proxy, and what it comes to.
type Talk = (Vec<Vec<u8>>, Result<(), ProxyError>);

/// Has a client talk with a proxy that says each of `turns` when the client has said something, each in these
/// pieces, and closes the connection then.
fn talk(proxy: &str, server: &str, turns: &[Vec<&[u8]>]) -> Talk {
    let (proxy, request) = (Proxy::new(proxy).unwrap(), ClientRequest::new(server).unwrap());
    let (mut end, grip) = stream();
    let mut task = Task::new(async move { proxy.tunnel(&mut end, &request).await });
    let mut done = task.settle();
    let mut said = vec![grip.take()];
    for turn in turns {
        for piece in turn.iter().filter(|piece| !piece.is_empty()) {
            if done.is_pending() {
                grip.give(piece);
                done = task.settle();
            }
        }
        said.push(grip.take());
    }
    if done.is_pending() {
        grip.end();
        done = task.settle();
    }
    said.retain(|words| !words.is_empty());
    match done {
        Poll::Ready(Ok(())) => (said, Ok(())),
        Poll::Ready(Err(Error::Proxy(error))) => (said, Err(error)),
        other => panic!("{other:?}"),
    }
}

fn talk_whole(proxy: &str, server: &str, turns: &[&[u8]]) -> Talk {
    talk(proxy, server, &turns.iter().map(|turn| vec![*turn]).collect::<Vec<_>>())
}

/// The same however the proxy's words are cut.
#[track_caller]
fn talk_at_every_cut(proxy: &str, server: &str, turns: &[&[u8]]) -> Talk {
    let whole = talk_whole(proxy, server, turns);
    let bytes: Vec<Vec<&[u8]>> = turns.iter().map(|turn| turn.chunks(1).collect()).collect();
    assert_eq!(talk(proxy, server, &bytes), whole, "byte by byte");
    for cut in 1..turns.iter().map(|turn| turn.len()).max().unwrap_or_default() {
        let halves = turns.iter().map(|turn| turn.split_at(cut.min(turn.len())));
        let halves: Vec<Vec<&[u8]>> = halves.map(|(one, other)| vec![one, other]).collect();
        assert_eq!(talk(proxy, server, &halves), whole, "cut at {cut}");
    }
    whole
}

/// Asserts that a connection that ends anywhere in the proxy's last words is told.
#[track_caller]
fn assert_ends_are_told(proxy: &str, turns: &[&[u8]]) {
    let (last, earlier) = turns.split_last().unwrap();
    for len in 0..last.len() {
        let turns = [earlier, &[&last[..len]]].concat();
        assert_eq!(talk_whole(proxy, SERVER, &turns).1, Err(ProxyError::Ended), "after {len}");
    }
}

#[test]
fn an_http_proxy_is_asked_for_a_tunnel_to_host_and_port() {
    for (server, authority) in [
        ("ws://server.example/chat?x", "server.example:80"),
        ("wss://server.example", "server.example:443"),
        ("ws://127.0.0.1:9001/", "127.0.0.1:9001"),
        ("wss://[::1]/", "[::1]:443"),
    ] {
        let (said, result) = talk_whole(HTTP, server, &[OK]);
        let asked = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        assert_eq!((said, result), (vec![asked.into_bytes()], Ok(())));
    }
}

#[test]
fn user_and_password_go_to_an_http_proxy_as_in_the_examples_of_rfc_7617() {
    for (login, encoded) in [
        ("Aladdin:open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test:123%C2%A3", "dGVzdDoxMjPCow=="),
        ("test:123£", "dGVzdDoxMjPCow=="),
        ("a%40b:c:d@e", "YUBiOmM6ZEBl"),
        ("alone", "YWxvbmU6"),
    ] {
        let (said, result) = talk_whole(&format!("http://{login}@proxy.example"), SERVER, &[OK]);
        let text = String::from_utf8(said.concat()).unwrap();
        assert!(text.ends_with(&format!("\r\nProxy-Authorization: Basic {encoded}\r\n\r\n")), "{text}");
        assert_eq!((said.len(), result), (1, Ok(())));
    }
}

#[test]
fn any_2xx_of_an_http_proxy_opens_the_tunnel_wherever_it_is_cut() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n",
        "HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nVia: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nC: d\r\n\r\n",
    ] {
        let (said, result) = talk_at_every_cut(HTTP, SERVER, &[answer.as_bytes()]);
        assert_eq!((said.len(), result), (1, Ok(())), "{answer}");
        assert_ends_are_told(HTTP, &[answer.as_bytes()]);
    }
}

#[test]
fn any_other_status_of_an_http_proxy_is_told_wherever_it_is_cut() {
    for status in [101, 300, 302, 403, 407, 429, 502, 503, 504] {
        let answer = format!("HTTP/1.1 {status} No\r\nLocation: http://elsewhere/\r\n\r\n<p>Sorry");
        let (_, result) = talk_at_every_cut(HTTP, SERVER, &[answer.as_bytes()]);
        assert_eq!(result, Err(ProxyError::Status(Status::new(status).unwrap())));
    }
}

#[test]
fn what_is_no_http_response_is_malformed_wherever_it_is_cut() {
    for answer in [
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "\x05\x00\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let (_, result) = talk_at_every_cut(HTTP, SERVER, &[answer.as_bytes()]);
        assert_eq!(result, Err(ProxyError::Malformed), "{answer:?}");
    }
}

#[test]
fn the_head_of_an_http_proxys_answer_may_have_16_kib_and_no_more() {
    let head = |len: usize| {
        let start = "HTTP/1.1 200 OK\r\nA: ";
        format!("{start}{}\r\n\r\n", "a".repeat(len - start.len() - 4))
    };
    assert_eq!(talk_whole(HTTP, SERVER, &[head(16 << 10).as_bytes()]).1, Ok(()));
    assert_eq!(talk_whole(HTTP, SERVER, &[head((16 << 10) + 1).as_bytes()]).1, Err(ProxyError::HeadTooLong));
    let endless = ["a".repeat(20_000), "a\r\n".repeat(10_000), "HTTP/1.1 200 OK\r\n".repeat(1000)];
    for endless in endless {
        assert_eq!(talk_whole(HTTP, SERVER, &[endless.as_bytes()]).1, Err(ProxyError::HeadTooLong));
    }
}

#[test]
fn an_http_proxy_may_send_8_interim_responses_and_no_more() {
    let interim = |n| ["HTTP/1.1 102 Processing\r\n\r\n".repeat(n).as_bytes(), OK].concat();
    assert_eq!(talk_whole(HTTP, SERVER, &[&interim(8)]).1, Ok(()));
    assert_eq!(talk_whole(HTTP, SERVER, &[&interim(9)]).1, Err(ProxyError::Malformed));
}

#[test]
fn what_an_http_proxy_sends_with_its_answer_and_behind_it_is_an_error() {
    for more in [&b"\0"[..], b"\r\n", OK, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let answer = [OK, more].concat();
        assert_eq!(talk_whole(HTTP, SERVER, &[&answer]).1, Err(ProxyError::Early));
        let (one, other) = answer.split_at(OK.len() - 1);
        assert_eq!(talk(HTTP, SERVER, &[vec![one, other]]).1, Err(ProxyError::Early));
    }
}

#[test]
fn what_follows_the_tunnel_is_left_in_the_stream() {
    let (mut end, grip) = stream();
    let (proxy, request) = (Proxy::new(HTTP).unwrap(), ClientRequest::new(SERVER).unwrap());
    grip.on_read([Step::Move(OK.len())]);
    grip.give([OK, b"the server's"].concat());
    let mut task = Task::new(async { proxy.tunnel(&mut end, &request).await });
    assert!(matches!(task.settle(), Poll::Ready(Ok(()))));
    assert_eq!(grip.log().reads, 1);
}

/// Answers of a SOCKS proxy that does as it is asked.
const REPLY: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

#[test]
fn a_socks_proxy_is_asked_for_names_by_name_and_for_addresses_by_address() {
    let name = [&[5, 1, 0, 3, 14][..], b"server.example", &[0, 80]].concat();
    let v6 = [&[5, 1, 0, 4][..], &[0; 15], &[1, 1, 0xBB]].concat();
    for (server, request) in [
        ("ws://server.example/chat", &name[..]),
        ("ws://127.0.0.1:9001/", &[5, 1, 0, 1, 127, 0, 0, 1, 0x23, 0x29]),
        ("wss://[::1]/", &v6),
    ] {
        for scheme in ["socks5", "socks5h", "SOCKS5"] {
            let (said, result) =
                talk_at_every_cut(&format!("{scheme}://proxy.example"), server, &[&[5, 0], REPLY]);
            assert_eq!((said, result), (vec![vec![5, 1, 0], request.to_vec()], Ok(())), "{server}");
        }
    }
}

#[test]
fn user_and_password_go_to_a_socks_proxy_if_it_asks_for_them() {
    let proxy = "socks5://me%3A:p%00ss@proxy.example:9";
    let request = [&[5, 1, 0, 3, 14][..], b"server.example", &[0, 80]].concat();
    let login = [&[1, 3][..], b"me:", &[4], b"p\0ss"].concat();
    let (said, result) = talk_at_every_cut(proxy, SERVER, &[&[5, 2], &[1, 0], REPLY]);
    assert_eq!((said, result), (vec![vec![5, 2, 0, 2], login, request.clone()], Ok(())));
    let (said, result) = talk_at_every_cut(proxy, SERVER, &[&[5, 0], REPLY]);
    assert_eq!((said, result), (vec![vec![5, 2, 0, 2], request], Ok(())));
    for refused in [1, 0xFF] {
        let (_, result) = talk_at_every_cut(proxy, SERVER, &[&[5, 2], &[1, refused]]);
        assert_eq!(result, Err(ProxyError::Login));
    }
    let (said, _) = talk_whole("socks5://me@proxy.example", SERVER, &[&[5, 2]]);
    assert_eq!(said.last(), Some(&vec![1, 2, b'm', b'e', 0]));
}

#[test]
fn a_socks_proxy_may_say_in_any_form_where_it_has_connected_from() {
    let v6 = [&[5, 0, 0, 4][..], &[7; 18]].concat();
    for len in [0, 1, 255] {
        let name = [&[5, 0, 0, 3, len][..], &vec![b'a'; usize::from(len) + 2]].concat();
        assert_eq!(talk_at_every_cut(SOCKS, SERVER, &[&[5, 0], &name]).1, Ok(()));
        assert_ends_are_told(SOCKS, &[&[5, 0], &name]);
    }
    assert_eq!(talk_at_every_cut(SOCKS, SERVER, &[&[5, 0], &v6]).1, Ok(()));
    assert_ends_are_told(SOCKS, &[&[5, 0], &v6]);
    assert_ends_are_told(SOCKS, &[&[5, 0], REPLY]);
    assert_ends_are_told(SOCKS, &[&[5, 0]]);
    assert_ends_are_told("socks5://a:b@proxy.example", &[&[5, 2], &[1, 0]]);
}

#[test]
fn a_socks_proxys_reply_code_is_told_wherever_it_is_cut() {
    for code in 1..=255 {
        let reply = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        for len in [2, 10] {
            let (_, result) = talk_at_every_cut(SOCKS, SERVER, &[&[5, 0], &reply[..len]]);
            assert_eq!(result, Err(ProxyError::Reply(code)));
        }
    }
}

#[test]
fn what_is_no_socks_answer_is_malformed_wherever_it_is_cut() {
    let login = "socks5://a:b@proxy.example";
    for (proxy, turns) in [
        (SOCKS, &[&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]][..]),
        (SOCKS, &[&[4, 0]]),
        (SOCKS, &[&[0, 90, 0, 0, 0, 0, 0, 0]]),
        // GSSAPI, and a login that was not offered.
        (SOCKS, &[&[5, 1]]),
        (SOCKS, &[&[5, 2]]),
        (login, &[&[5, 3]]),
        (login, &[&[5, 2], &[5, 0]]),
        (login, &[&[5, 2], &[0, 0]]),
        (SOCKS, &[&[5, 0], &[4, 0, 0, 1, 0, 0, 0, 0, 0, 0]]),
        (SOCKS, &[&[5, 0], &[5, 0, 0, 0]]),
        (SOCKS, &[&[5, 0], &[5, 0, 0, 2, 0, 0]]),
    ] {
        assert_eq!(talk_at_every_cut(proxy, SERVER, turns).1, Err(ProxyError::Malformed), "{turns:?}");
    }
    for proxy in [SOCKS, login] {
        assert_eq!(talk_at_every_cut(proxy, SERVER, &[&[5, 0xFF]]).1, Err(ProxyError::Method));
    }
}

#[test]
fn what_a_socks_proxy_sends_with_an_answer_and_behind_it_is_an_error() {
    let login = "socks5://a:b@proxy.example";
    let early = [REPLY, b"\x81"].concat();
    for (proxy, turns) in [
        (SOCKS, &[&[&[5, 0], REPLY].concat()[..]][..]),
        (SOCKS, &[&[5, 0], &early]),
        (login, &[&[5, 2, 1, 0]]),
        (login, &[&[5, 2], &[1, 0, 5]]),
    ] {
        assert_eq!(talk_whole(proxy, SERVER, turns).1, Err(ProxyError::Early), "{turns:?}");
    }
}

#[test]
fn a_name_of_more_than_255_bytes_is_not_for_socks() {
    let server = |len| format!("ws://{}/", "a".repeat(len));
    assert_eq!(talk_whole(SOCKS, &server(255), &[&[5, 0], REPLY]).1, Ok(()));
    assert_eq!(talk_whole(SOCKS, &server(256), &[]), (vec![], Err(ProxyError::HostTooLong)));
}

#[test]
fn short_writes_interruptions_and_buffers_make_no_difference() {
    for seed in 0..200 {
        for (proxy, answers) in [(HTTP, &[OK][..]), (SOCKS, &[&[5, 0], REPLY])] {
            let (proxy, request) = (Proxy::new(proxy).unwrap(), ClientRequest::new(SERVER).unwrap());
            let (mut end, grip) = stream();
            grip.at_random(seed);
            grip.hold_until_flush();
            let mut task = Task::new(async move { proxy.tunnel(&mut end, &request).await });
            let mut said = Vec::new();
            for answer in answers {
                assert!(task.settle().is_pending());
                said.extend(grip.take());
                grip.give(answer);
            }
            assert!(matches!(task.settle(), Poll::Ready(Ok(()))));
            assert_eq!(said, grip.log().written, "all is flushed before an answer is waited for");
        }
    }
}

#[test]
fn a_stream_that_fails_is_told() {
    let (proxy, request) = (Proxy::new(HTTP).unwrap(), ClientRequest::new(SERVER).unwrap());
    for step in [Step::Fail(ErrorKind::ConnectionReset), Step::Zero] {
        let (mut end, grip) = stream();
        grip.on_write([step]);
        let mut task = Task::new(async { proxy.tunnel(&mut end, &request).await });
        assert!(matches!(task.settle(), Poll::Ready(Err(Error::Io(_)))));
    }
    let (mut end, grip) = stream();
    grip.fail_reads(ErrorKind::ConnectionReset);
    let mut task = Task::new(async { proxy.tunnel(&mut end, &request).await });
    assert!(matches!(task.settle(), Poll::Ready(Err(Error::Io(_)))));
}

#[test]
fn a_proxys_url_says_where_it_is() {
    for (url, host, port) in [
        ("http://proxy.example", "proxy.example", 80),
        ("HTTP://proxy.example:3128/", "proxy.example", 3128),
        ("socks5://proxy.example", "proxy.example", 1080),
        ("socks5h://user:pass@10.0.0.1:9", "10.0.0.1", 9),
        ("socks5://[::1]", "::1", 1080),
        ("http://a:b@[::1]:8080", "::1", 8080),
        ("http://a:p@ss@proxy.example:1", "proxy.example", 1),
    ] {
        let proxy = Proxy::new(url).unwrap();
        assert_eq!((proxy.host(), proxy.port()), (host, port), "{url}");
    }
}

#[test]
fn what_is_wrong_with_a_proxys_url_is_told() {
    let long = format!("socks5://{}@proxy", "a".repeat(256));
    for (url, error) in [
        ("proxy.example:3128", InvalidProxy::Scheme),
        ("https://proxy.example", InvalidProxy::Scheme),
        ("socks4://proxy.example", InvalidProxy::Scheme),
        ("http://", InvalidProxy::Host),
        ("http://a@", InvalidProxy::Host),
        ("http://[::1", InvalidProxy::Host),
        ("http://[:]", InvalidProxy::Host),
        ("http://pro xy", InvalidProxy::Host),
        ("http://proxy\r\nX: y", InvalidProxy::Host),
        ("http://proxy:", InvalidProxy::Port),
        ("http://proxy:0", InvalidProxy::Port),
        ("http://proxy:65536", InvalidProxy::Port),
        ("http://proxy:80/path", InvalidProxy::Path),
        ("http://proxy?x", InvalidProxy::Path),
        ("http://proxy#x", InvalidProxy::Path),
        ("http://@proxy", InvalidProxy::Login),
        ("http://:secret@proxy", InvalidProxy::Login),
        ("http://a%3Ab:c@proxy", InvalidProxy::Login),
        ("http://a:b%0d%0aX@proxy", InvalidProxy::Login),
        ("http://a:%4@proxy", InvalidProxy::Login),
        ("http://a:%+4@proxy", InvalidProxy::Login),
        ("http://a:%é@proxy", InvalidProxy::Login),
        (&long, InvalidProxy::Login),
    ] {
        assert_eq!(Proxy::new(url).map(|_| ()), Err(error), "{url:?}");
    }
}

#[test]
fn credentials_are_not_shown() {
    for url in ["http://someone:sesame@proxy.example", "socks5://someone:sesame@proxy.example"] {
        let shown = format!("{:?}", Connector::<Lab>::new().proxy(Proxy::new(url).unwrap()))
            + &format!("{:?}", Proxy::new(url).unwrap());
        assert!(shown.contains("proxy.example"), "{shown}");
        assert!(!shown.contains("someone") && !shown.contains("sesame"), "{shown}");
    }
}

#[test]
fn a_connector_talks_to_the_server_through_its_proxy_at_every_redirection() {
    let world = lab::begin();
    let connector = Connector::<Lab>::new().proxy(Proxy::new(HTTP).unwrap()).redirects(1).clone();
    let request = ClientRequest::new(SERVER).unwrap();
    let mut task = Task::new(async move { connector.connect(&request).await });
    for server in ["server.example:80", "other.example:8080"] {
        assert!(task.settle().is_pending());
        let call = world.call();
        assert_eq!(call.place(), ("proxy.example", 3128));
        let asked = String::from_utf8(call.grip.take()).unwrap();
        assert!(asked.starts_with(&format!("CONNECT {server} ")) && asked.ends_with("\r\n\r\n"), "{asked}");
        call.grip.give(OK);
        assert!(task.settle().is_pending());
        if server.starts_with("other") {
            assert_eq!(call.accept().path(), "/x");
            break;
        }
        call.answer(302, &["Location: //other.example:8080/x"]);
    }
    assert!(matches!(task.settle(), Poll::Ready(Ok(_))));
}
