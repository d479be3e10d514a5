//! RFC 7692 §5, §7.1: compression in the opening handshake, and what holds on the connection behind it.

use sansocket::deflate::{Deflater, Params};
use sansocket::extension::{Extension, Negotiated, WindowBits};
use sansocket::{
    Accept, AcceptError, Agreed, Cause, Compression, Config, Connection, Endpoint, Event, HandshakeError,
    Kind, Message, ProtocolError, Refusal, Role, State,
};
use sansocket_tests::compressed::{self, PER_FRAME, PER_MESSAGE, RSV1, deflate};
use sansocket_tests::heads::{self, Answer, but, with};
use sansocket_tests::{
    ROLES, SEED, START, asking, at_every_split, receive, receive_accepting, take_output, wire,
};

const OFF: Config = Config::new();
const ON: Config = Config::new().compression(Some(Compression::new()));
/// What browsers send.
const BROWSER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
const TEXT: &str = "all that is long enough is compressed, and this is, this is, this is, this is, this is";

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

fn on(compression: Compression) -> Config {
    Config::new().compression(Some(compression))
}

/// A server's response, with this extension.
fn response(extension: Option<&str>) -> String {
    let line = extension.map(|extension| format!("Sec-WebSocket-Extensions: {extension}\r\n"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{}\r\n",
        line.unwrap_or_default()
    )
}

/// The response to a client's request, with these lines at its end.
fn answer_to(head: &[u8], lines: &str) -> Vec<u8> {
    let answer = heads::answer_to(head, &OFF);
    format!("{}{lines}\r\n", answer.strip_suffix("\r\n").unwrap()).into_bytes()
}

/// What an open connection agreed upon.
fn compression(connection: &Connection) -> Option<Negotiated> {
    connection.agreed()?.compression().copied()
}

/// Whether it takes a compressed message, and sends one.
fn compresses(connection: &mut Connection) -> bool {
    connection.send(TEXT).unwrap();
    let sent = wire::parse(&take_output(connection)).remove(0);
    let is_sent = sent.first & RSV1 != 0;
    assert_eq!(sent.payload.len() < TEXT.len(), is_sent);
    let (events, _) =
        receive(connection, START, &compressed::frame(connection.role(), Kind::Text, deflate(TEXT)));
    let is_taken = events == [Event::Message(Message::from(TEXT))];
    assert_eq!((is_taken, connection.state() == State::Open), (is_sent, is_sent));
    is_sent
}

/// Answers `request`; the connection, and all that it wrote.
fn answered(config: &Config, request: &str, accept: Accept) -> (Connection, String) {
    let mut server = Connection::server(config, START);
    receive(&mut server, START, request.as_bytes());
    server.accept(START, accept).unwrap();
    let head = take_output(&mut server);
    (server, String::from_utf8(head).unwrap())
}

/// A server's settings, a client's header lines, and what comes of them.
type Row<'r> = (&'r Config, String, Option<(&'r str, Negotiated)>);

#[test]
fn section_5_1_a_server_answers_an_offer_with_exactly_what_it_agrees_to() {
    let anew = compressed::anew(PER_MESSAGE);
    let mut ten = PER_MESSAGE;
    (ten.server_max_window_bits, ten.client_max_window_bits) = (bits(10), bits(10));
    let small = on(Compression::dedicated(bits(10)));
    let safari = on(Compression::new().accept_deflate_frame(true));
    let deaf = on(Compression::new().accept_deflate_frame(false));
    let line = |value: &str| format!("Sec-WebSocket-Extensions: {value}");
    let table: &[Row<'_>] = &[
        (&ON, BROWSER.into(), Some(("permessage-deflate; client_max_window_bits=15", PER_MESSAGE))),
        (&ON, line("permessage-deflate"), Some(("permessage-deflate", PER_MESSAGE))),
        (
            &on(Compression::shared()),
            BROWSER.into(),
            Some((
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits=15",
                anew,
            )),
        ),
        (
            &small,
            BROWSER.into(),
            Some(("permessage-deflate; server_max_window_bits=10; client_max_window_bits=10", ten)),
        ),
        // A client that cannot be told a window is declined; so is one that says what nobody understands.
        (&small, line("permessage-deflate"), None),
        (&ON, line("permessage-deflate; server_max_window_bits=7"), None),
        (
            &ON,
            line("permessage-deflate; server_max_window_bits=7, permessage-deflate"),
            Some(("permessage-deflate", PER_MESSAGE)),
        ),
        (&ON, line("foo; bar=1"), None),
        (&ON, line("foo; bar=1, permessage-deflate"), Some(("permessage-deflate", PER_MESSAGE))),
        (&ON, line(""), None),
        (&ON, "X: y".into(), None),
        // Several headers are one list.
        (
            &ON,
            [line("foo"), line("permessage-deflate; bar"), line("permessage-deflate")].join("\r\n"),
            Some(("permessage-deflate", PER_MESSAGE)),
        ),
        (&safari, line("x-webkit-deflate-frame"), Some(("x-webkit-deflate-frame", PER_FRAME))),
        (
            &safari,
            line("deflate-frame, permessage-deflate"),
            Some(("deflate-frame", Negotiated::new(Extension::DeflateFrame))),
        ),
        (&deaf, line("x-webkit-deflate-frame"), None),
        // What would be inflated by miniz_oxide all the same is not accepted, if that is not the backend.
        (
            &ON,
            line("deflate-frame, permessage-deflate"),
            Some(match cfg!(feature = "zlib-rs") {
                true => ("permessage-deflate", PER_MESSAGE),
                false => ("deflate-frame", Negotiated::new(Extension::DeflateFrame)),
            }),
        ),
        (&OFF, BROWSER.into(), None),
        (&OFF, line("x-webkit-deflate-frame"), None),
    ];
    for (config, lines, expected) in table {
        let request = with(lines);
        let record = at_every_split(|| Connection::server(config, START), request.as_bytes());
        let head = String::from_utf8(record.output).unwrap();
        assert_eq!(head, response(expected.map(|(header, _)| header)), "{lines}");
        let (mut server, _) = answered(config, &request, Accept::new());
        assert_eq!(compression(&server), expected.map(|(_, agreed)| agreed), "{lines}");
        assert_eq!(compresses(&mut server), expected.is_some(), "{lines}");
    }
}

#[test]
fn section_9_1_a_malformed_offer_is_refused_whether_the_server_compresses_or_not() {
    for config in [OFF, ON] {
        let request = with("Sec-WebSocket-Extensions: permessage-deflate; =");
        let record = at_every_split(|| Connection::server(&config, START), request.as_bytes());
        assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Extensions));
        assert_eq!(Answer::parse(&record.output).status, "HTTP/1.1 400 Bad Request");
    }
}

#[test]
fn section_4_4_versions_7_and_8_agree_upon_it_too() {
    for version in ["7", "8"] {
        let request = but("Version: 13", &format!("Version: {version}\r\n{BROWSER}"));
        let (mut server, head) = answered(&ON, &request, Accept::new());
        assert_eq!(head, response(Some("permessage-deflate; client_max_window_bits=15")));
        assert!(compresses(&mut server));
    }
}

#[test]
fn settings_for_one_client_decide_in_place_of_the_servers_own() {
    let shared = on(Compression::shared());
    let anew = compressed::anew(PER_MESSAGE);
    for (own, given, agreed) in [
        (&OFF, &ON, Some(PER_MESSAGE)),
        (&ON, &OFF, None),
        (&ON, &shared, Some(anew)),
        (&shared, &ON, Some(PER_MESSAGE)),
        (&shared, &OFF, None),
        (&OFF, &OFF, None),
    ] {
        let (mut server, head) = answered(own, &with(BROWSER), Accept::new().config(given.clone()));
        assert_eq!(head.contains("Sec-WebSocket-Extensions"), agreed.is_some());
        assert_eq!(compression(&server), agreed);
        assert_eq!(compresses(&mut server), agreed.is_some());
    }
    // What is compressed is theirs to say too.
    let accept = Accept::new().config(on(Compression::new().text(false)));
    let (mut server, _) = answered(&ON, &with(BROWSER), accept);
    server.send(TEXT).unwrap();
    server.send(TEXT.as_bytes()).unwrap();
    let firsts = wire::parse(&take_output(&mut server)).into_iter().map(|frame| frame.first);
    assert_eq!(firsts.collect::<Vec<_>>(), [0x81, 0xC2]);
}

#[test]
fn an_offer_waits_with_its_request_if_that_could_not_be_accepted() {
    let mut server = Connection::server(&ON, START);
    receive(&mut server, START, with(BROWSER).as_bytes());
    let not_offered = server.accept(START, Accept::new().subprotocol("chat").config(OFF));
    assert_eq!(not_offered, Err(AcceptError::SubprotocolNotOffered));
    assert_eq!(server.agreed(), None);
    server.accept(START, Accept::new()).unwrap();
    assert_eq!(compression(&server), Some(PER_MESSAGE));
}

#[test]
fn a_message_right_behind_the_handshake_is_read_as_it_was_agreed() {
    let message = |role| compressed::frame(role, Kind::Text, deflate("Hello"));
    let hello = Event::Message(Message::from("Hello"));
    let stream = [with(BROWSER).into_bytes(), message(Role::Server)].concat();
    let record = at_every_split(|| Connection::server(&ON, START), &stream);
    assert!(matches!(&record.events[..], [Event::Request(_), event] if *event == hello));

    let (_, head) = asking(&ON);
    let lines = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let stream = [answer_to(&head, lines), message(Role::Client)].concat();
    let record = at_every_split(|| asking(&ON).0, &stream);
    assert!(matches!(&record.events[..], [Event::Open(_), event] if *event == hello));
}

#[test]
fn section_5_a_client_offers_what_it_is_told_to_and_nothing_else() {
    let plain = String::from_utf8(asking(&OFF).1).unwrap();
    assert!(!plain.contains("Extensions"));
    let most = Compression::shared().server_max_window_bits(bits(9)).offer_deflate_frame(true);
    for (config, offer) in [
        (ON, "permessage-deflate; client_max_window_bits"),
        (on(Compression::dedicated(bits(15))), "permessage-deflate; client_max_window_bits"),
        (
            on(Compression::shared()),
            "permessage-deflate; client_max_window_bits; client_no_context_takeover; \
             server_no_context_takeover",
        ),
        (
            on(most),
            "permessage-deflate; client_max_window_bits; client_no_context_takeover; \
             server_no_context_takeover; server_max_window_bits=9, \
             x-webkit-deflate-frame; no_context_takeover; max_window_bits=9, \
             deflate-frame; no_context_takeover; max_window_bits=9",
        ),
    ] {
        let head = String::from_utf8(asking(&config).1).unwrap();
        let line = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        assert_eq!(head, plain.replacen("\r\n\r\n", &format!("\r\n{line}\r\n"), 1));
    }
}

#[test]
fn section_7_1_a_client_goes_on_with_an_answer_to_its_offer() {
    let mut both = compressed::anew(PER_MESSAGE);
    (both.server_max_window_bits, both.client_max_window_bits) = (bits(9), bits(10));
    let webkit = on(Compression::new().offer_deflate_frame(true));
    for (config, line, agreed) in [
        (&ON, "permessage-deflate", Some(PER_MESSAGE)),
        (&ON, "permessage-deflate; client_max_window_bits=15", Some(PER_MESSAGE)),
        (
            &ON,
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=10",
            Some(both),
        ),
        (&webkit, "x-webkit-deflate-frame", Some(PER_FRAME)),
        (&webkit, "permessage-deflate", Some(PER_MESSAGE)),
        // The server compresses nothing.
        (&ON, "", None),
        (&OFF, "", None),
    ] {
        let (mut client, head) = asking(config);
        let stream = answer_to(&head, &format!("Sec-WebSocket-Extensions: {line}\r\n"));
        assert!(matches!(&receive(&mut client, START, &stream).0[..], [Event::Open(_)]), "{line}");
        assert_eq!(compression(&client), agreed);
        assert_eq!(compresses(&mut client), agreed.is_some());
    }
}

#[test]
fn section_7_1_a_client_fails_a_handshake_whose_extension_is_no_answer_to_its_offer() {
    let shared = on(Compression::shared());
    let small = on(Compression::dedicated(bits(10)));
    for (config, line) in [
        // One that offers nothing.
        (&OFF, "permessage-deflate"),
        (&OFF, "x-webkit-deflate-frame"),
        (&OFF, "foo"),
        (&OFF, "permessage-deflate; ="),
        (&ON, "foo"),
        (&ON, "x-webkit-deflate-frame"),
        (&ON, "permessage-deflate, foo"),
        (&ON, "permessage-deflate\r\nSec-WebSocket-Extensions: foo"),
        (&ON, "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate"),
        (&ON, "permessage-deflate; client_max_window_bits"),
        (&ON, "permessage-deflate; server_max_window_bits=7"),
        (&ON, "permessage-deflate; server_max_window_bits=16"),
        (&ON, "permessage-deflate; server_max_window_bits=999"),
        (&ON, "permessage-deflate; server_max_window_bits=\"\""),
        (&ON, "permessage-deflate; server_no_context_takeover=1"),
        (&ON, "permessage-deflate; foo"),
        (&ON, "permessage-deflate; ="),
        (&shared, "permessage-deflate"),
        (&small, "permessage-deflate"),
        (&small, "permessage-deflate; server_max_window_bits=11"),
    ] {
        let (_, head) = asking(config);
        let stream = answer_to(&head, &format!("Sec-WebSocket-Extensions: {line}\r\n"));
        let record = at_every_split(|| asking(config).0, &stream);
        assert_eq!((record.events, record.output), (vec![], vec![]), "{line}");
        assert_eq!(record.end.cause(), &Cause::Handshake(HandshakeError::Extension), "{line}");
        assert_eq!(record.state, State::Closed);
    }
}

#[test]
fn the_two_ends_of_a_handshake_compress() {
    let (mut client, head) = asking(&ON);
    let mut server = Connection::server(&ON, START);
    receive_accepting(&mut server, START, &head);
    receive(&mut client, START, &take_output(&mut server));
    for end in [&mut client, &mut server] {
        assert_eq!(compression(end), Some(PER_MESSAGE));
        assert!(compresses(end));
    }
}

#[test]
fn a_connection_whose_handshake_was_elsewhere_compresses_if_that_was_agreed_upon() {
    for role in ROLES {
        // Without settings, by the defaults.
        for config in [OFF, ON] {
            for agreed in [PER_MESSAGE, compressed::anew(PER_MESSAGE), PER_FRAME] {
                let mut connection = compressed::agreed(role, &config, agreed);
                assert_eq!(compression(&connection), Some(agreed));
                assert!(compresses(&mut connection));
                connection = compressed::agreed(role, &config, agreed);
                connection.send("short").unwrap();
                assert_eq!(wire::parse(&take_output(&mut connection))[0].first, 0x81);
            }
        }
        let config = on(Compression::new().min_size(5));
        let mut connection = compressed::open(role, &config);
        connection.send("short").unwrap();
        assert_eq!(wire::parse(&take_output(&mut connection))[0].first, 0xC1);

        // And not if it was not, whatever the settings say.
        let endpoint = if role == Role::Server { Endpoint::Server } else { Endpoint::Client(SEED) };
        let agreed = Agreed::new().with_subprotocol("chat");
        let mut connection = Connection::established(endpoint, &ON, agreed.clone(), START);
        assert_eq!(connection.agreed(), Some(&agreed));
        assert!(!compresses(&mut connection));
    }
}

#[test]
fn section_6_nothing_may_be_compressed_that_was_not_agreed_upon() {
    let payload = deflate("Hello");
    for role in ROLES {
        for config in [OFF, ON] {
            let frame = compressed::frame(role, Kind::Text, &payload);
            let record = at_every_split(|| sansocket_tests::open(role, &config), &frame);
            assert_eq!(record.events, []);
            wire::assert_failed(role, &record, ProtocolError::ReservedBits, 1002);
        }
    }
}

/// Each end inflates in the other's window, and compresses in its own.
#[test]
fn section_7_1_2_windows_and_contexts_are_each_ends_own() {
    let mut unequal = PER_MESSAGE;
    (unequal.server_max_window_bits, unequal.client_max_window_bits) = (bits(9), bits(15));
    unequal.server_no_context_takeover = true;
    let text = TEXT.repeat(3);
    for role in ROLES {
        let mut connection = compressed::agreed(role, &ON, unequal);
        // Only the client's contexts are taken over.
        let mut payloads = Vec::new();
        for _ in 0..2 {
            connection.send(&text).unwrap();
            payloads.push(wire::parse(&take_output(&mut connection)).remove(0).payload);
        }
        assert_eq!(payloads[0] == payloads[1], role == Role::Server);
        let mut deflater = Deflater::new(&Params::new());
        let first = compressed::frame(role, Kind::Text, compressed::next(&mut deflater, &text));
        let second = compressed::frame(role, Kind::Text, compressed::next(&mut deflater, &text));
        let message = [Event::Message(Message::from(&text))];
        assert_eq!(receive(&mut connection, START, &first).0, message);
        let (events, _) = receive(&mut connection, START, &second);
        assert_eq!(events == message, role == Role::Server, "the client was told to forget");
        assert_eq!(connection.state() == State::Open, role == Role::Server);
    }
}
