//! Messages in pieces, and what else a `WebSocket` and its halves can do, on a stream that does as it
//! is told.
#![cfg(feature = "driver")]

use core::task::Poll;

use sansocket::{
    Agreed, Cause, CloseCode, Config, Data, Delivery, Endpoint, Kind, Message, Prepared, ProtocolError, Role,
    SendError, Side,
};
use sansocket_driver::{Error, ReuniteError, WebSocket};
use sansocket_tests::scripted::{Clock, Scene, Socket, Task, open, run, stream};
use sansocket_tests::wire::{
    BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, close_payload, fragment, frame, parse, payloads,
};
use sansocket_tests::{ROLES, SEED};

const CONFIG: Config = Config::new();
const STREAMING: Config = CONFIG.delivery(Delivery::Streaming);

fn piece(payload: &str, first: bool, last: bool) -> Data<'static> {
    Data { kind: Kind::Text, payload: payload.as_bytes().to_vec().into(), first, last }
}

fn recv(socket: &mut Socket) -> Option<Message<'static>> {
    run(socket.recv()).unwrap()
}

fn recv_data(socket: &mut Socket) -> Option<Data<'static>> {
    run(socket.recv_data()).unwrap()
}

/// A text in two frames.
fn in_two(role: Role, one: &str, other: &str) -> Vec<u8> {
    [fragment(role, TEXT, one), frame(role, CONTINUATION, other)].concat()
}

#[test]
fn recv_data_gives_whole_messages_in_one_piece_or_pieces_as_they_come() {
    for role in ROLES {
        for delivery in [Delivery::Whole, Delivery::Streaming] {
            let mut scene = open(role, &CONFIG.delivery(delivery));
            scene
                .grip
                .give([in_two(role, "ab", "cd"), frame(role, TEXT, ""), close(role, 1000, "")].concat());
            scene.grip.end();
            let mut all = Vec::new();
            while let Some(data) = recv_data(&mut scene.socket) {
                all.push(data);
            }
            match delivery {
                Delivery::Whole => assert_eq!(all, [piece("abcd", true, true), piece("", true, true)]),
                _ => {
                    let whole: Vec<u8> = all.iter().flat_map(|data| data.payload.to_vec()).collect();
                    assert_eq!(whole, b"abcd");
                    assert_eq!(all[..2], [piece("ab", true, false), piece("cd", false, true)]);
                    assert_eq!(all[2..], [piece("", true, true)]);
                }
            }
            assert_eq!(scene.socket.disconnect().unwrap().cause(), &Cause::Closed(Side::Remote));
            assert_eq!(recv_data(&mut scene.socket), None);
        }
    }
}

#[test]
fn a_piece_is_given_before_the_rest_of_its_frame_has_come() {
    for role in ROLES {
        let mut scene = open(role, &STREAMING);
        let bytes = frame(role, TEXT, "abcdef");
        let (come, to_come) = bytes.split_at(bytes.len() - 3);
        scene.grip.give(come);
        assert_eq!(recv_data(&mut scene.socket), Some(piece("abc", true, false)));
        scene.grip.give(to_come);
        assert_eq!(recv_data(&mut scene.socket), Some(piece("def", false, true)));
    }
}

#[test]
fn recv_puts_pieces_together_however_they_come() {
    for role in ROLES {
        let bytes = [in_two(role, "ab", "cd"), frame(role, PING, ""), frame(role, BINARY, [5; 300])].concat();
        for at in 0..bytes.len() {
            let mut scene = open(role, &STREAMING);
            scene.grip.give(&bytes[..at]);
            let mut waiting = Task::new(async { (scene.socket.recv().await, scene.socket.recv().await) });
            assert!(waiting.settle().is_pending());
            scene.grip.give(&bytes[at..]);
            let Poll::Ready((one, other)) = waiting.settle() else { panic!("they are there") };
            assert_eq!(one.unwrap(), Some(Message::from("abcd")));
            assert_eq!(other.unwrap(), Some(Message::from(vec![5; 300])));
        }
    }
}

#[test]
fn recv_skips_what_recv_data_has_left_of_a_message() {
    for role in ROLES {
        let mut scene = open(role, &STREAMING);
        let long =
            [fragment(role, TEXT, "a"), fragment(role, CONTINUATION, "b"), frame(role, CONTINUATION, "c")];
        scene.grip.give([long.concat(), in_two(role, "next", " one"), frame(role, TEXT, "last")].concat());
        assert_eq!(recv_data(&mut scene.socket), Some(piece("a", true, false)));
        assert_eq!(recv(&mut scene.socket), Some(Message::from("next one")));
        assert_eq!(recv_data(&mut scene.socket), Some(piece("last", true, true)));
    }
}

#[test]
fn what_recv_puts_together_is_bounded_by_the_message_limit() {
    for role in ROLES {
        let mut scene = open(role, &STREAMING.max_message(100));
        let fits = [fragment(role, TEXT, [b'a'; 60]), frame(role, CONTINUATION, [b'b'; 40])].concat();
        let does_not = [fragment(role, TEXT, [b'a'; 60]), fragment(role, CONTINUATION, [b'b'; 41])].concat();
        scene.grip.give([fits, does_not].concat());
        assert_eq!(recv(&mut scene.socket).map(|message| message.len()), Some(100));
        scene.grip.end();
        let error = run(scene.socket.recv()).unwrap_err();
        let cause = Cause::Violation(ProtocolError::MessageTooBig { len: 101, max: 100 });
        assert_eq!(error.cause(), Some(&cause));
        assert_eq!(payloads(&scene.grip.log().written, CLOSE), [close_payload(1009)]);
    }
}

#[test]
fn a_message_that_ends_with_its_connection_is_not_given() {
    for role in ROLES {
        let mut scene = open(role, &STREAMING);
        scene.grip.give([fragment(role, TEXT, "half"), close(role, 1000, "")].concat());
        scene.grip.end();
        assert_eq!(recv(&mut scene.socket), None);
    }
}

#[test]
fn a_message_may_be_sent_in_pieces_with_control_frames_between() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        let socket = &mut scene.socket;
        socket.begin(Kind::Text).unwrap();
        assert!(matches!(socket.begin(Kind::Text), Err(Error::Send(SendError::MessageInProgress))));
        assert!(matches!(run(socket.send("m")), Err(Error::Send(SendError::MessageInProgress))));
        run(socket.push("é".as_bytes().split_at(1).0)).unwrap();
        socket.ping(b"?").unwrap();
        run(socket.push("é".as_bytes().split_at(1).1)).unwrap();
        socket.pong(b"!").unwrap();
        run(socket.finish(b"")).unwrap();
        assert!(matches!(run(socket.push(b"")), Err(Error::Send(SendError::NoMessageInProgress))));
        assert!(matches!(run(socket.finish(b"")), Err(Error::Send(SendError::NoMessageInProgress))));
        let frames = parse(&scene.grip.log().written);
        let text: Vec<u8> =
            frames.iter().filter(|frame| frame.first & 8 == 0).flat_map(|f| f.payload.clone()).collect();
        assert_eq!(text, "é".as_bytes());
        assert_eq!(payloads(&scene.grip.log().written, PING), [b"?"]);
        assert_eq!(payloads(&scene.grip.log().written, PONG), [b"!"]);
        let ends: Vec<_> =
            frames.iter().map(|frame| (frame.first & 0x80 != 0, frame.first & 8 != 0)).collect();
        assert_eq!(ends.iter().filter(|end| **end == (true, false)).count(), 1);
        assert_eq!(ends.last(), Some(&(true, false)));
    }
}

#[test]
fn a_text_in_pieces_that_is_not_utf_8_is_the_callers_mistake() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.socket.begin(Kind::Text).unwrap();
        assert!(matches!(run(scene.socket.push(b"\xFF")), Err(Error::Send(SendError::InvalidUtf8))));
        run(scene.socket.finish(b"fine")).unwrap();
        let written = parse(&scene.grip.log().written);
        assert_eq!(written.iter().flat_map(|frame| frame.payload.clone()).collect::<Vec<_>>(), b"fine");
    }
}

#[test]
fn a_push_waits_for_room_like_a_message() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.high_water(100));
        scene.grip.set_room(0);
        scene.socket.begin(Kind::Binary).unwrap();
        run(scene.socket.push(&[1; 100])).unwrap();
        let mut waiting = Task::new(scene.socket.push(&[2; 100]));
        assert!(waiting.settle().is_pending());
        scene.grip.set_room(150);
        assert!(waiting.is_woken() && waiting.settle().is_ready());
        drop(waiting);
        assert!(scene.socket.connection().buffered() < 220);
    }
}

#[test]
fn a_prepared_message_goes_to_all_and_to_halves() {
    let prepared = Prepared::text("to all");
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        run(scene.socket.feed_prepared(&prepared)).unwrap();
        let (mut sender, receiver) = scene.socket.split();
        run(sender.feed_prepared(&prepared)).unwrap();
        run(sender.flush()).unwrap();
        assert_eq!(payloads(&scene.grip.log().written, TEXT), [b"to all", b"to all"]);
        drop(receiver);
    }
}

#[test]
fn new_options_are_in_force_at_once() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.high_water(50).max_message(3));
        scene.grip.set_room(0);
        run(scene.socket.feed(vec![0; 50])).unwrap();
        assert!(Task::new(scene.socket.feed("m")).settle().is_pending());
        scene.socket.set_options(&CONFIG.high_water(1000).max_message(10));
        run(scene.socket.feed("m")).unwrap();
        scene.grip.give(frame(role, TEXT, "longer"));
        assert_eq!(recv(&mut scene.socket), Some(Message::from("longer")));
    }
}

#[test]
fn what_was_read_beyond_the_handshake_comes_first_wherever_it_was_cut() {
    for role in ROLES {
        let endpoint = match role {
            Role::Client => || Endpoint::Client(SEED),
            Role::Server => || Endpoint::Server,
        };
        let bytes = [in_two(role, "ab", "cd"), frame(role, PING, "p"), frame(role, TEXT, "second")].concat();
        for at in 0..=bytes.len() {
            let ((end, grip), clock) = (stream(), Clock::new());
            let (unread, rest) = bytes.split_at(at);
            let mut socket =
                WebSocket::established(end, clock.alarm(), endpoint(), &CONFIG, Agreed::new(), unread);
            grip.give(rest);
            assert_eq!(recv(&mut socket), Some(Message::from("abcd")));
            assert_eq!(recv(&mut socket), Some(Message::from("second")));
            assert_eq!(payloads(&grip.log().written, PONG), [b"p"]);
        }
    }
}

#[test]
fn halves_of_one_websocket_are_put_together_and_others_given_back() {
    for role in ROLES {
        let (one, other) = (open(role, &CONFIG), open(role, &CONFIG));
        one.grip.give(frame(role, TEXT, "one"));
        other.grip.give(frame(role, TEXT, "other"));
        let ((one_sender, one_receiver), (other_sender, other_receiver)) =
            (one.socket.split(), other.socket.split());
        let Err(ReuniteError(one_sender, other_receiver)) = WebSocket::reunite(one_sender, other_receiver)
        else {
            panic!("they are of two")
        };
        for (sender, receiver, name) in
            [(one_sender, one_receiver, "one"), (other_sender, other_receiver, "other")]
        {
            let Ok(mut socket) = WebSocket::reunite(sender, receiver) else { panic!("they are of one") };
            assert_eq!(recv(&mut socket), Some(Message::from(name)));
            run(socket.send(name)).unwrap();
        }
        assert_eq!(payloads(&one.grip.log().written, TEXT), [b"one"]);
        assert_eq!(payloads(&other.grip.log().written, TEXT), [b"other"]);
    }
}

#[test]
fn what_a_half_left_undone_the_whole_goes_on_with() {
    for role in ROLES {
        let Scene { socket, grip, .. } = open(role, &STREAMING);
        let (mut sender, mut receiver) = socket.split();
        grip.set_room(3);
        let mut waiting = Task::new(sender.send("out"));
        assert!(waiting.settle().is_pending());
        drop(waiting);
        grip.give(fragment(role, TEXT, "be"));
        let mut waiting = Task::new(receiver.recv());
        assert!(waiting.settle().is_pending());
        drop(waiting);
        let Ok(mut socket) = WebSocket::reunite(sender, receiver) else { panic!("they are of one") };
        grip.set_room(usize::MAX);
        grip.give(frame(role, CONTINUATION, "gin"));
        assert_eq!(recv(&mut socket), Some(Message::from("begin")));
        assert_eq!(payloads(&grip.log().written, TEXT), [b"out"]);
    }
}

#[test]
fn a_connection_lasts_until_both_halves_are_dropped() {
    for role in ROLES {
        for sender_first in [true, false] {
            let Scene { socket, grip, .. } = open(role, &CONFIG);
            let (mut sender, mut receiver) = socket.split();
            if sender_first {
                drop(sender);
                grip.give([frame(role, PING, "p"), frame(role, TEXT, "m")].concat());
                assert_eq!(run(receiver.recv()).unwrap(), Some(Message::from("m")));
                assert_eq!(payloads(&grip.log().written, PONG), [b"p"]);
                drop(receiver);
            } else {
                drop(receiver);
                run(sender.send("m")).unwrap();
                let mut closing = Task::new(sender.close(CloseCode::NORMAL_CLOSURE));
                assert!(closing.settle().is_pending());
                grip.give(close(role, 1000, ""));
                grip.end();
                assert!(closing.settle().is_ready());
                drop(closing);
                drop(sender);
            }
            assert!(grip.is_dropped());
        }
    }
}

#[test]
fn a_message_whose_fragments_are_dropped_behind_an_error_of_the_peers_was_not_sent() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.auto_fragment(Some(1000)));
        scene.grip.set_room(100);
        run(scene.socket.feed(vec![7; 50_000])).unwrap();
        scene.grip.give([0xFF]);
        assert!(Task::new(scene.socket.recv()).settle().is_pending());
        scene.grip.set_room(usize::MAX);
        assert!(matches!(run(scene.socket.flush()), Err(Error::Send(SendError::Closed))), "{role:?}");

        let scene = open(role, &CONFIG.auto_fragment(Some(1000)));
        scene.grip.set_room(100);
        let grip = scene.grip.clone();
        let (mut sender, mut receiver) = scene.socket.split();
        let mut sending = Task::new(sender.send(vec![7; 50_000]));
        assert!(sending.settle().is_pending());
        grip.give(frame(role, TEXT, [0xFF]));
        let mut receiving = Task::new(receiver.recv());
        assert!(receiving.settle().is_pending(), "the Close is not written");
        grip.set_room(usize::MAX);
        assert!(matches!(sending.settle(), Poll::Ready(Err(Error::Send(SendError::Closed)))), "{role:?}");
        grip.end();
        let Poll::Ready(Err(error)) = receiving.settle() else { panic!("it is over") };
        assert!(matches!(error.cause(), Some(Cause::Violation(ProtocolError::InvalidUtf8))));
    }
}
