//! What an application may not inject into a head: row T12 of `THREATS.md`.
#![cfg(not(miri))]

use sansocket::{Accept, ClientRequest, Config, Connection, Event, Response, Status, Transport};
use sansocket_tests::heads::{GOOD, server};
use sansocket_tests::pair::Dice;
use sansocket_tests::{SEED, START, receive, receive_accepting, take_output};

/// Text of what may break a head.
fn text(dice: &mut Dice, alphabet: &str) -> String {
    let alphabet: Vec<_> = alphabet.chars().collect();
    // Mostly what is harmless, so that some gets through.
    let harmless = if dice.below(3) == 0 { alphabet.len() } else { 4 };
    (0..=dice.below(6)).map(|_| alphabet[dice.below(harmless)]).collect()
}

type Fields = Vec<(String, Vec<u8>)>;

fn owned(headers: &[httparse::Header<'_>]) -> Fields {
    headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect()
}

/// The header fields of a response on the wire, which ends behind them.
fn response_fields(bytes: &[u8]) -> Fields {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{bytes:?}");
    owned(response.headers)
}

#[test]
fn t12_what_an_application_puts_in_a_head_comes_out_the_same_or_not_at_all() {
    let mut dice = Dice::new(1);
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let name = format!("X{}", text(&mut dice, "aZ-9_: \t\r\n\0\u{e9}\u{7f}(\u{2028}"));
        let value = text(&mut dice, "ab;\"\t, :\r\n\0\u{e9}\u{7f}\u{85}\u{2028}");
        let field = (name.clone(), value.clone().into_bytes());
        let made = Accept::new().header(&name, &value);
        let response = Response::new(Status::NOT_FOUND).with_header(&name, &value);
        let asked = ClientRequest::new("ws://x").unwrap().header(&name, &value);
        assert_eq!((made.is_ok(), response.is_ok()), (asked.is_ok(), asked.is_ok()), "{name:?} {value:?}");
        let (Ok(made), Ok(response), Ok(asked)) = (made, response, asked) else {
            refused += 1;
            continue;
        };
        sent += 1;
        let mut server = server();
        receive(&mut server, START, GOOD.as_bytes());
        server.accept(START, made).unwrap();
        let fields = response_fields(&take_output(&mut server));
        assert_eq!((fields.len(), fields.last()), (4, Some(&field)));

        let mut server = Connection::server(&Config::new(), START);
        receive(&mut server, START, GOOD.as_bytes());
        server.reject(START, response);
        let fields = response_fields(&take_output(&mut server));
        assert_eq!((fields.len(), fields.first()), (3, Some(&field)));

        let mut client = Connection::client(&Config::new(), &asked, SEED, START);
        let (_, _, fields) = request_parts(&take_output(&mut client));
        assert_eq!((fields.len(), fields.last()), (6, Some(&field)));
    }
    assert!(sent > 10_000 && refused > 10_000, "{sent} {refused}");
}

fn request_parts(bytes: &[u8]) -> (String, String, Fields) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{bytes:?}");
    let (method, target) = (request.method.unwrap().to_owned(), request.path.unwrap().to_owned());
    (method, target, owned(request.headers))
}

#[test]
fn t12_a_url_or_a_subprotocol_cannot_change_a_head() {
    let mut dice = Dice::new(2);
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let hostile = "ab.1/:?@#[]\\ \t\r\n\0\u{e9}%<>\"{}|^`,;=&";
        let url = format!(
            "ws://a{}/b{}?{}",
            text(&mut dice, hostile),
            text(&mut dice, hostile),
            text(&mut dice, hostile)
        );
        let subprotocol = text(&mut dice, "ab.1, ;\"\r\n\0\t:/\u{e9}");
        let request =
            ClientRequest::new(&url).ok().and_then(|request| request.subprotocol(&subprotocol).ok());
        let Some(request) = request else {
            refused += 1;
            continue;
        };
        sent += 1;
        let mut client = Connection::client(&Config::new(), &request, SEED, START);
        let head = take_output(&mut client);
        let (method, target, fields) = request_parts(&head);
        assert_eq!((&method[..], &target[..]), ("GET", request.target()), "{url:?}");
        // A query right behind the host gets the path that it lacks.
        let suffix = target.strip_prefix('/').filter(|rest| rest.starts_with('?'));
        let is_asked_for = url.ends_with(&target) || suffix.is_some_and(|suffix| url.ends_with(suffix));
        assert!(is_asked_for, "{url:?} asks for {target:?}");
        let value = |name: &str| fields.iter().find(|(have, _)| have == name).map(|(_, value)| &value[..]);
        assert_eq!(fields.len(), 6, "{url:?}");
        assert_eq!(value("Sec-WebSocket-Protocol"), Some(subprotocol.as_bytes()));
        let port = if request.port() == 80 { String::new() } else { format!(":{}", request.port()) };
        assert_eq!(value("Host"), Some(format!("{}{port}", request.host()).as_bytes()), "{url:?}");
        // Our own server understands it.
        let mut server = Connection::server(&Config::new(), START);
        let (events, _) = receive_accepting(&mut server, START, &head);
        assert!(matches!(&events[..], [Event::Request(seen)] if seen.is_upgrade()), "{url:?}");
        assert_eq!(server.transport(), Transport::Open);
    }
    assert!(sent > 10_000 && refused > 10_000, "{sent} {refused}");
}
