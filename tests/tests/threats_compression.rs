//! Attacks by compression: rows T32, T33, T35, T36, T38 and T39 of `THREATS.md`. What of them is counted in memory or work is in
//! `threats_memory.rs` and `threats_work.rs`.

use std::thread;

use sansocket::extension::Negotiated;
use sansocket::{
    Compression, Config, Connection, Delivery, Event, Kind, Message, ProtocolError, Role, State,
};
use sansocket_tests::compressed::{
    self, DELIVERIES, PER_MESSAGE, Peer, agreed, anew, bomb, deflate, event, frame, frames,
};
use sansocket_tests::inflate::{HELLO, TAIL, Writer, dynamic_run, fixed_run, json, noise, stored, windows};
use sansocket_tests::pair::{Dice, peer};
use sansocket_tests::splits::run;
use sansocket_tests::wire::{self, PING, PONG, assert_failed};
use sansocket_tests::{ROLES, START, at_every_split, receive, take_output};

use ProtocolError::{CorruptDeflate, MessageTooBig};

const ON: Config = Config::new().compression(Some(Compression::new().min_size(0)));

#[test]
fn t32_the_limit_is_exact_and_nothing_is_cut_off_at_it() {
    for limit in [1_usize, 2, 255, 4096, 65_535, 65_536, 1 << 20] {
        let max = u64::try_from(limit).unwrap();
        for len in [limit - 1, limit, limit + 1, limit + 2] {
            let message = vec![b'a'; len];
            let with_codes = |run: fn(usize) -> Vec<u8>| if len == 0 { vec![0] } else { run(len) };
            for payload in [stored(&message), with_codes(fixed_run), with_codes(dynamic_run)] {
                let (first, second) = payload.split_at(payload.len() / 2);
                for (role, delivery) in ROLES.into_iter().flat_map(|role| DELIVERIES.map(|it| (role, it))) {
                    let config = ON.max_message(max).delivery(delivery);
                    for parts in [vec![&payload[..]], vec![first, second]] {
                        let stream = frames(role, Kind::Text, &parts).concat();
                        let record = run(compressed::open(role, &config), stream.chunks(10_000));
                        if len <= limit {
                            assert!(
                                record.events == [event(delivery, Kind::Text, &message)],
                                "{len} of {limit}"
                            );
                            assert_eq!(record.state, State::Open);
                        } else {
                            assert_failed(role, &record, MessageTooBig { len: max + 1, max }, 1009);
                            assert!(!record.events.iter().any(is_whole), "{len} of {limit} were handed out");
                        }
                    }
                }
            }
        }
    }
}

/// A message, or the last piece of one.
fn is_whole(event: &Event<'_>) -> bool {
    !matches!(event, Event::Data(data) if !data.last)
}

/// What no two senders do alike, and what it says.
fn shapes() -> Vec<(Vec<u8>, &'static str)> {
    let final_hello = b"\xF3\x48\xCD\xC9\xC9\x07\x00";
    vec![
        (final_hello.to_vec(), "Hello"),
        // Behind the final block an empty one, and the same message again.
        ([&final_hello[..], b"\x00"].concat(), "Hello"),
        (final_hello.repeat(2), "HelloHello"),
        ([HELLO, &TAIL].concat(), "Hello"),
        (vec![], ""),
        (vec![0], ""),
    ]
}

fn ways() -> impl Iterator<Item = (Role, Delivery, Negotiated)> {
    ROLES.into_iter().flat_map(|role| {
        DELIVERIES
            .into_iter()
            .flat_map(move |it| [PER_MESSAGE, anew(PER_MESSAGE)].map(|agreement| (role, it, agreement)))
    })
}

#[test]
fn t33_what_other_senders_make_of_a_payload_is_understood_and_so_is_the_next_message() {
    for (role, delivery, agreement) in ways() {
        for (payload, message) in shapes() {
            let stream = [
                frame(role, Kind::Text, &payload),
                frame(role, Kind::Text, deflate("and the next")),
                frame(role, Kind::Text, HELLO),
            ]
            .concat();
            let config = ON.delivery(delivery);
            let record = at_every_split(|| agreed(role, &config, agreement), &stream);
            let expected = [message, "and the next", "Hello"].map(|text| event(delivery, Kind::Text, text));
            assert_eq!((record.events, record.state), (expected.to_vec(), State::Open), "{payload:02x?}");
        }
        // The context goes on behind those that say nothing (RFC 7692 §7.2.3.2 refers to the Hello before).
        if agreement == PER_MESSAGE {
            for nothing in [&b""[..], b"\x00", b"\x00\x00\x00\xFF\xFF"] {
                let stream =
                    [HELLO, nothing, b"\xF2\x00\x11\x00\x00"].map(|it| frame(role, Kind::Text, it)).concat();
                let record = run(agreed(role, &ON.delivery(delivery), agreement), stream.chunks(1));
                let expected = ["Hello", "", "Hello"].map(|text| event(delivery, Kind::Text, text));
                assert_eq!((record.events, record.state), (expected.to_vec(), State::Open));
            }
        }
    }
}

#[test]
fn t33_what_is_no_whole_stream_is_a_close_with_1007_behind_whatever_was_good() {
    let too_far = |before: usize, back: usize| {
        Writer::new().fixed(false).literals(&vec![b'x'; before]).repeat(3, back).end().message()
    };
    let reserved = Writer::new().bits(3 << 1, 3).bytes();
    for (role, delivery, agreement) in ways() {
        for (what, bad) in [
            ("garbage", vec![0xFF; 4]),
            ("a reserved type of block", reserved.clone()),
            ("half a block", HELLO[..3].to_vec()),
            ("half a stored block", b"\x00\x05\x00\xFA\xFFHel".to_vec()),
            ("a length that is not its complement's", b"\x00\x05\x00\xFA\xFEHello\x00".to_vec()),
            ("a repetition of what is before the beginning", too_far(10, 400)),
        ] {
            let good = frame(role, Kind::Text, deflate("good"));
            let stream = [good.clone(), frame(role, Kind::Binary, &bad), good].concat();
            let record = run(agreed(role, &ON.delivery(delivery), agreement), stream.chunks(3));
            assert_failed(role, &record, CorruptDeflate, 1007);
            assert_eq!(record.events[0], event(delivery, Kind::Text, "good"), "{what}");
            assert!(!record.events[1..].iter().any(is_whole), "{what}: {:?}", record.events);
        }
        // Beyond the window that was agreed on: understood by its bytes or not at all, and never by others.
        let mut small = agreement;
        (small.server_max_window_bits, small.client_max_window_bits) =
            (windows().next().unwrap(), windows().next().unwrap());
        let before = noise(&mut Dice::new(1), 1000);
        let payload = Writer::new().fixed(false).literals(&before).repeat(200, 700).end().message();
        let whole = [&before[..], &before[300..500]].concat();
        let record =
            run(agreed(role, &ON.delivery(delivery), small), [&frame(role, Kind::Binary, &payload)[..]]);
        if record.state == State::Open {
            assert_eq!(record.events, [event(delivery, Kind::Binary, &whole)]);
        } else {
            assert_failed(role, &record, CorruptDeflate, 1007);
            assert!(!record.events.iter().any(is_whole));
        }
    }
}

#[test]
fn t35_a_stack_of_64_kib_is_enough_to_receive_whatever_it_may_be() {
    let message = json(&mut Dice::new(1), 50_000);
    let payloads = [
        deflate(&message),
        dynamic_run(100_000),
        stored(&message),
        bomb()[..100_000].to_vec(),
        vec![0xFF; 9],
    ];
    let receiving = move || {
        for (role, payload) in ROLES.into_iter().flat_map(|role| payloads.each_ref().map(|it| (role, it))) {
            let mut connection = compressed::open(role, &ON);
            let (events, left) = receive(&mut connection, START, &frame(role, Kind::Binary, payload));
            assert_eq!((events.len() == 1, left), (connection.state() == State::Open, 0));
        }
    };
    thread::Builder::new().stack_size(64 << 10).spawn(receiving).unwrap().join().unwrap();
    // Not to be fallen below: what older releases of these are known to do.
    let floors =
        [("bytes", [1, 11, 1]), ("miniz_oxide", [0, 9, 0]), ("rustls", [0, 23, 18]), ("zlib-rs", [0, 4, 0])];
    let lock = include_str!("../../Cargo.lock");
    for (name, floor) in floors {
        let versions: Vec<[u32; 3]> = lock
            .split("[[package]]")
            .filter(|package| package.contains(&format!("name = \"{name}\"\n")))
            .filter_map(|package| package.split("version = \"").nth(1)?.split('"').next())
            .map(|version| version.splitn(3, '.').map(|part| part.parse().unwrap()).collect::<Vec<_>>())
            .map(|parts| parts.try_into().unwrap())
            .collect();
        assert!(
            !versions.is_empty() && versions.iter().all(|version| *version >= floor),
            "{name} {versions:?}"
        );
    }
}

#[test]
fn t36_a_ping_between_compressed_fragments_is_answered_plain_and_the_message_is_whole() {
    let message = json(&mut Dice::new(1), 300);
    let payload = deflate(&message);
    for (role, delivery) in ROLES.into_iter().flat_map(|role| DELIVERIES.map(|it| (role, it))) {
        for cut in 0..=payload.len() {
            let (first, second) = payload.split_at(cut);
            let mut parts = frames(role, Kind::Text, &[first, second]);
            parts.insert(1, wire::frame(role, PING, "?"));
            let record = run(compressed::open(role, &ON.delivery(delivery)), [&parts.concat()[..]]);
            let expected = event(delivery, Kind::Text, &message);
            assert!(record.events.contains(&expected), "cut at {cut}: {:?}", record.events);
            assert!(record.events.contains(&Event::Ping(b"?"[..].into())));
            let pong =
                wire::Parsed { first: 0x80 | PONG, masked: role == Role::Client, payload: b"?".to_vec() };
            assert_eq!((wire::parse(&record.output), record.state), (vec![pong], State::Open));
        }
    }
    // Ours too, between the pieces of a message that is sent.
    for role in ROLES {
        let mut connection = compressed::open(role, &ON);
        connection.begin(Kind::Text).unwrap();
        let mut reader = compressed::open(peer(role), &ON);
        let mut events = Vec::new();
        for (i, piece) in message.chunks(50).enumerate() {
            connection.push(piece).unwrap();
            connection.ping(&[u8::try_from(i).unwrap()]).unwrap();
            events.extend(receive(&mut reader, START, &take_output(&mut connection)).0);
        }
        connection.finish(b"").unwrap();
        events.extend(receive(&mut reader, START, &take_output(&mut connection)).0);
        assert_eq!(events.pop(), Some(event(Delivery::Whole, Kind::Text, &message)));
        assert!(
            events.len() == 6 && events.iter().all(|event| matches!(event, Event::Ping(_))),
            "{events:?}"
        );
    }
}

/// How long the frame of this message is.
fn length(connection: &mut Connection, send: impl FnOnce(&mut Connection)) -> usize {
    send(connection);
    take_output(connection).len()
}

#[test]
fn t38_a_secret_can_be_kept_out_of_compression_and_of_what_later_messages_refer_to() {
    const SECRET: &str = "token=0123456789abcdef";
    let guesses = ["token=0123456789abcdef", "token=fedcba9876543210"];
    for role in ROLES {
        // What the attack sees: a right guess is shorter, within a message and by the context.
        let leaks = guesses.map(|guess| {
            let mut connection = compressed::open(role, &ON);
            connection.send(SECRET).unwrap();
            take_output(&mut connection);
            length(&mut connection, |it| it.send(guess).unwrap())
        });
        assert!(leaks[0] < leaks[1], "{leaks:?}");
        // Each of these closes it: the secret is sent plain, or compression is off for it, or what was said is forgotten.
        let keeps: [fn(&mut Connection); 3] = [
            |it| it.send_plain(SECRET).unwrap(),
            |it| {
                it.set_compression(false);
                it.send(SECRET).unwrap();
                it.set_compression(true);
            },
            |it| {
                it.send(SECRET).unwrap();
                take_output(it);
                it.release_memory();
            },
        ];
        for (i, keep) in keeps.into_iter().enumerate() {
            let lengths = guesses.map(|guess| {
                let mut connection = compressed::open(role, &ON);
                let mut peer = Peer::new(role);
                keep(&mut connection);
                peer.read(&mut connection);
                connection.send(guess).unwrap();
                let got = peer.one(&mut connection);
                assert!(!got.inflated.looks_back, "way {i}");
                got.payload.expect("it was compressed").len()
            });
            assert!(lengths[0].abs_diff(lengths[1]) <= 1, "way {i}: {lengths:?}");
        }
        let plain = guesses.map(|guess| {
            let mut connection = compressed::open(role, &ON);
            let message = format!("{SECRET} {guess}");
            length(&mut connection, |it| it.send_plain(&message[..]).unwrap())
        });
        assert_eq!(plain[0], plain[1]);
    }
    // It is off by default, and the documentation says why.
    assert!(format!("{:?}", Config::new()).contains("compression: None"));
    for document in [include_str!("../../core/src/compression.rs"), include_str!("../../SECURITY.md")] {
        assert!(document.contains("CRIME") && document.contains("send_plain"));
    }
}

#[test]
fn t39_nothing_that_is_sent_refers_further_back_than_the_window_that_was_agreed_on() {
    for (role, window) in ROLES.into_iter().flat_map(|role| windows().map(move |window| (role, window))) {
        let size = 1_usize << window.get();
        let mut agreement = PER_MESSAGE;
        (agreement.server_max_window_bits, agreement.client_max_window_bits) = (window, window);
        let mut connection = agreed(role, &ON, agreement);
        let mut reader = agreed(peer(role), &ON, agreement);
        let mut audit = Peer::new(role);
        let mut dice = Dice::new(39);
        let mut farthest = 0;
        for period in [size / 3, size.saturating_sub(300), size - 1, size, size + 1, size + 300, 2 * size] {
            // Noise that comes again after so many bytes, and text.
            let again = noise(&mut dice, period.max(3)).into_iter().cycle().take(3 * period + 100).collect();
            for message in [again, json(&mut dice, 5000)] {
                connection.send(&message[..]).unwrap();
                let output = connection.transmit().to_vec();
                let got = audit.one(&mut connection);
                assert!(got.inflated.bytes == message);
                farthest = farthest.max(got.inflated.farthest);
                let (events, _) = receive(&mut reader, START, &output);
                assert!(events == [Event::Message(Message::binary(message))], "our own reads it too");
            }
        }
        assert!(farthest <= size, "{farthest} back in a window of {size}");
        assert!(farthest > size / 8, "it makes use of the window of {size}: {farthest}");
    }
}
