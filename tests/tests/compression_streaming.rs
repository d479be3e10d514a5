//! Compressed messages handed out in pieces: little on the wire can be a lot, and none of it is held back or hurried.

use sansocket::extension::WindowBits;
use sansocket::{
    Cause, CloseCode, Config, Connection, Data, Delivery, Event, Input, Kind, Role, State, Transport,
};
use sansocket_tests::compressed::{
    PER_MESSAGE, RSV1, agreed, deflate, deflater, event, frame, frames, next, opcode, open,
};
use sansocket_tests::{ROLES, START, at_every_split, receive, splits, take_output, wire};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const STREAMING: Config = Config::new().delivery(Delivery::Streaming);

/// A piece has no more than this, and no less than 16 KiB while there is more to come of what is there.
const MOST: usize = (16 + 32) * KIB;

/// Characters of three bytes, so that pieces end within some.
fn text(len: usize) -> String {
    "€".repeat(len / 3) + &"x".repeat(len % 3)
}

/// A connection, and what it was given and has not taken. Between two calls the bytes move to another place.
struct Reader {
    connection: Connection,
    left: Vec<u8>,
}

impl Reader {
    fn new(role: Role, config: &Config, stream: &[u8]) -> Self {
        Self { connection: open(role, config), left: stream.to_vec() }
    }

    fn event(&mut self) -> Option<Event<'static>> {
        let mut bytes = self.left.clone();
        let mut input = Input::new(&mut bytes);
        let event = self.connection.receive(START, &mut input).map(Event::into_owned);
        self.left = input.into_rest().to_vec();
        event
    }

    fn data(&mut self) -> Option<Data<'static>> {
        self.event().map(|event| match event {
            Event::Data(data) => data,
            other => panic!("{other:?}"),
        })
    }

    /// The rest of the message.
    fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(data) = self.data() {
            bytes.extend_from_slice(&data.payload);
        }
        bytes
    }
}

#[test]
fn a_short_frame_that_inflates_to_a_lot_comes_in_pieces_and_its_last_byte_stays_until_they_are_taken() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            let message = text(MIB);
            let stream = frame(role, kind, deflate(&message));
            assert!(stream.len() < 5 * KIB);
            let mut reader = Reader::new(role, &STREAMING, &stream);
            let mut got = Vec::new();
            let mut pieces = 0;
            loop {
                let data = reader.data().expect("the message goes on");
                assert_eq!((data.kind, data.first), (kind, pieces == 0));
                assert!(data.payload.len() <= MOST, "{}", data.payload.len());
                got.extend_from_slice(&data.payload);
                pieces += 1;
                if data.last {
                    break;
                }
                assert!(data.payload.len() >= 16 * KIB, "{}", data.payload.len());
                assert!(!reader.left.is_empty(), "nobody would come back for the rest");
                assert!(reader.connection.wants_read());
            }
            assert_eq!((reader.data(), reader.left.len()), (None, 0));
            assert!(got == message.as_bytes());
            assert!(pieces >= MIB / MOST);
        }
    }
}

#[test]
fn a_piece_that_is_long_enough_takes_no_window_more() {
    let mut half = PER_MESSAGE;
    half.server_max_window_bits = WindowBits::new(14).unwrap();
    half.client_max_window_bits = WindowBits::new(14).unwrap();
    // The other backend shows as much at a time whatever the window.
    let most = if cfg!(feature = "zlib-rs") { MOST } else { (16 + 16) * KIB };
    for role in ROLES {
        let mut reader = Reader::new(role, &STREAMING, &frame(role, Kind::Binary, deflate(vec![0; MIB])));
        reader.connection = agreed(role, &STREAMING, half);
        let mut got = 0;
        while let Some(data) = reader.data() {
            assert!(data.payload.len() < most, "{}", data.payload.len());
            got += data.payload.len();
        }
        assert_eq!(got, MIB);
    }
}

#[test]
fn pieces_say_exactly_once_that_the_message_begins_and_ends_whatever_its_length() {
    for role in ROLES {
        for size in [0, 1, 4 * KIB, 8 * KIB, 16 * KIB, 24 * KIB, 32 * KIB, 48 * KIB, 64 * KIB, 96 * KIB] {
            for len in size.saturating_sub(1)..=size + 1 {
                let message = text(len);
                let payload = deflate(&message);
                let (begin, end) = payload.split_at(payload.len() / 2);
                for parts in [&[&payload[..]][..], &[&payload, b""], &[begin, b"", end]] {
                    let stream = frames(role, Kind::Text, parts).concat();
                    for read in [1, 2, 100, stream.len()] {
                        let mut reader = Reader::new(role, &STREAMING, b"");
                        let mut pieces = Vec::new();
                        for chunk in stream.chunks(read) {
                            reader.left.extend(chunk);
                            while let Some(data) = reader.data() {
                                pieces.push(data);
                            }
                            assert_eq!(reader.left, []);
                        }
                        for (i, piece) in pieces.iter().enumerate() {
                            let is_last = i == pieces.len() - 1;
                            assert_eq!((piece.first, piece.last), (i == 0, is_last), "{len} in {read}");
                            assert!(!piece.payload.is_empty() || is_last, "an empty piece that says nothing");
                            assert!(piece.payload.len() <= MOST);
                        }
                        let got: Vec<u8> = pieces.iter().flat_map(|piece| piece.payload.to_vec()).collect();
                        assert!(got == message.as_bytes());
                    }
                }
            }
        }
    }
}

#[test]
fn pieces_are_handed_out_as_soon_as_they_are_there() {
    let words = ["Hello, ", "h", "ello, ", "hello"];
    for role in ROLES {
        let mut deflater = deflater();
        let mut connection = open(role, &STREAMING);
        for (i, word) in words.into_iter().enumerate() {
            let mut payload = Vec::new();
            deflater.piece(word.as_bytes(), &mut payload);
            let first = if i == 0 { RSV1 | opcode(Kind::Text) } else { 0 };
            let (events, _) = receive(&mut connection, START, &wire::fragment(role, first, payload));
            let [Event::Data(data)] = &events[..] else { panic!("{events:?}") };
            assert_eq!((&*data.payload, data.first, data.last), (word.as_bytes(), i == 0, false));
        }
        let (events, _) = receive(&mut connection, START, &wire::frame(role, 0, next(&mut deflater, "!")));
        assert!(matches!(&events[..], [Event::Data(Data { payload, last: true, .. })] if **payload == *b"!"));
    }
}

/// A message of 200 KiB in two frames, and a ping between them.
fn two_frames(role: Role) -> (String, [Vec<u8>; 3]) {
    let message = text(200 * KIB);
    let (first, second) = message.as_bytes().split_at(100 * KIB);
    let mut deflater = deflater();
    let mut begin = Vec::new();
    deflater.piece(first, &mut begin);
    let [begin, end] = [
        wire::fragment(role, RSV1 | opcode(Kind::Text), begin),
        wire::frame(role, 0, next(&mut deflater, second)),
    ];
    (message, [begin, wire::frame(role, wire::PING, "p"), end])
}

#[test]
fn what_is_behind_a_frame_waits_until_all_of_it_was_taken() {
    for role in ROLES {
        let (message, parts) = two_frames(role);
        for read in [1, 100, 1000, usize::MAX] {
            let stream = parts.concat();
            let mut reader = Reader::new(role, &STREAMING, b"");
            let (mut got, mut at) = (Vec::new(), None);
            for chunk in stream.chunks(read.min(stream.len())) {
                reader.left.extend(chunk);
                while let Some(event) = reader.event() {
                    match event {
                        Event::Data(data) => got.extend_from_slice(&data.payload),
                        Event::Ping(_) => at = Some(got.len()),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!(at, Some(100 * KIB), "in reads of {read}");
            assert!(got == message.as_bytes());
        }
    }
}

#[test]
fn a_pause_between_any_two_pieces_holds_and_nothing_is_lost() {
    for role in ROLES {
        let (message, parts) = two_frames(role);
        for pause_at in 0..8 {
            let config = STREAMING.auto_pong(false);
            let mut reader = Reader::new(role, &config, &parts.concat());
            let mut got = Vec::new();
            let mut events = 0;
            loop {
                if events == pause_at {
                    reader.connection.pause();
                    let left = reader.left.len();
                    assert_ne!(left, 0);
                    assert_eq!((reader.event(), reader.left.len()), (None, left));
                    // Whatever came meanwhile stands behind it.
                    reader.left.extend(frame(role, Kind::Text, deflate("next")));
                    assert_eq!((reader.event(), reader.connection.wants_read()), (None, false));
                    // A good time to save memory, of which none is in use but what is needed.
                    reader.connection.release_memory();
                    reader.connection.resume(START);
                }
                events += 1;
                match reader.event() {
                    Some(Event::Data(data)) => got.extend_from_slice(&data.payload),
                    Some(_) => {}
                    None => break,
                }
            }
            assert!(events > pause_at, "there were {events} events");
            assert!(got == (message.clone() + "next").as_bytes(), "paused at {pause_at}");
        }
    }
}

#[test]
fn output_that_waits_stops_the_pieces_and_they_go_on_when_it_is_written() {
    for role in ROLES {
        let (message, parts) = two_frames(role);
        // In the block, and in fragments that wait.
        for fragment in [None, Some(1000)] {
            for stop_at in 0..8 {
                let config = STREAMING.high_water(1000).auto_fragment(fragment).auto_pong(false);
                let mut reader = Reader::new(role, &config, &parts.concat());
                let (mut got, mut events) = (Vec::new(), 0);
                loop {
                    if events == stop_at {
                        reader.connection.send_plain(vec![0; 5000]).unwrap();
                        let mut stopped = reader.event();
                        // Control frames pass where only fragments wait.
                        if let Some(Event::Ping(_)) = stopped {
                            assert!(
                                fragment.is_some() && reader.connection.transmit().len() < 1000 + 1000 + 14
                            );
                            stopped = reader.event();
                        }
                        let left = reader.left.len();
                        assert_eq!((stopped, reader.connection.wants_read()), (None, false));
                        assert_eq!((reader.event(), reader.left.len()), (None, left));
                        assert_ne!(left, 0);
                        take_output(&mut reader.connection);
                    }
                    events += 1;
                    match reader.event() {
                        Some(Event::Data(data)) => got.extend_from_slice(&data.payload),
                        Some(_) => {}
                        None => break,
                    }
                }
                assert!(got == message.as_bytes(), "stopped at {stop_at}");
            }
        }
    }
}

/// Where output must be written before anything else is read, that is all the difference.
#[test]
fn pieces_are_the_same_wherever_the_stream_is_cut_and_however_little_output_may_wait() {
    let message = "Hello, hello, hello";
    for role in ROLES {
        let payload = deflate(message);
        let mut all = frames(role, Kind::Text, &[&payload[..4], b"", &payload[4..]]);
        all.insert(2, wire::frame(role, wire::PING, "b"));
        all.insert(1, wire::frame(role, wire::PING, "a"));
        let much = at_every_split(|| open(role, &STREAMING), &all.concat());
        let little = at_every_split(|| open(role, &STREAMING.high_water(1)), &all.concat());
        assert!(much.events.contains(&event(Delivery::Streaming, Kind::Text, message)));
        assert_eq!(wire::payloads(&much.output, wire::PONG), [b"a", b"b"]);
        assert_eq!(little, much);
    }
}

#[test]
fn an_echo_of_pieces_that_nobody_reads_stops_the_input_and_gets_through_when_it_is_read() {
    for role in ROLES {
        let (message, parts) = two_frames(role);
        let config = STREAMING.high_water(10 * KIB);
        let mut reader = Reader::new(role, &config, &parts.concat());
        let mut output = Vec::new();
        loop {
            match reader.event() {
                Some(Event::Data(data)) => {
                    if data.first {
                        reader.connection.begin_plain(data.kind).unwrap();
                    }
                    match data.last {
                        true => reader.connection.finish(&data.payload).unwrap(),
                        false => reader.connection.push(&data.payload).unwrap(),
                    }
                    assert!(reader.connection.buffered() < 10 * KIB + MOST + 100);
                }
                Some(_) => {}
                None if reader.left.is_empty() => break,
                None => {
                    let n = reader.connection.transmit().len().min(3000);
                    output.extend_from_slice(&reader.connection.transmit().to_vec()[..n]);
                    reader.connection.transmitted(n);
                }
            }
        }
        output.extend(take_output(&mut reader.connection));
        let mut frames = wire::parse(&output);
        frames.retain(|frame| frame.first & 0x0F != wire::PONG);
        assert!(frames.iter().flat_map(|frame| &frame.payload).eq(message.as_bytes()));
    }
}

#[test]
fn a_message_goes_on_in_pieces_behind_our_own_close() {
    for role in ROLES {
        let (message, parts) = two_frames(role);
        let stream = [parts.concat(), wire::close(role, 1000, "")].concat();
        let mut reader = Reader::new(role, &STREAMING, &stream);
        let mut got = reader.data().unwrap().payload.into_owned();
        reader.connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        let mut closed = false;
        while let Some(event) = reader.event() {
            match event {
                Event::Data(data) => got.extend_from_slice(&data.payload),
                Event::Close(_) => closed = true,
                _ => {}
            }
        }
        assert!(got == message.as_bytes());
        assert!(closed && reader.left.is_empty());
    }
}

#[test]
fn a_transport_that_ends_between_two_pieces_ends_the_connection() {
    for role in ROLES {
        let mut reader = Reader::new(role, &STREAMING, &two_frames(role).1.concat());
        reader.data().unwrap();
        assert_eq!(reader.connection.receive_eof(), None);
        assert_eq!((reader.event(), reader.connection.state()), (None, State::Closed));
        let Transport::Close(end) = reader.connection.transport() else { panic!("not over") };
        assert_eq!(end.cause(), &Cause::Lost);
    }
}

/// Reads of any size, one event of each at a time, the rest moved elsewhere: the same.
#[test]
fn many_messages_come_in_pieces_that_make_the_same_however_they_are_read() {
    for role in ROLES {
        let mut deflater = deflater();
        let messages = [text(70 * KIB), String::new(), text(5), text(33 * KIB), text(100 * KIB)];
        let stream: Vec<u8> = messages
            .iter()
            .flat_map(|message| frame(role, Kind::Text, next(&mut deflater, message)))
            .collect();
        let expected = messages.each_ref().map(|message| event(Delivery::Streaming, Kind::Text, message));
        let whole = splits::run(open(role, &STREAMING), [&stream[..]]);
        assert!(whole.events == expected);
        for read in 1..64 {
            assert!(splits::run(open(role, &STREAMING), stream.chunks(read)) == whole, "in reads of {read}");
            let mut reader = Reader::new(role, &STREAMING, b"");
            let mut got = Vec::new();
            for chunk in stream.chunks(read) {
                reader.left.extend(chunk);
                // Not until there is nothing left: the next read comes first.
                got.extend(reader.data().into_iter().flat_map(|data| data.payload.into_owned()));
            }
            got.extend(reader.rest());
            assert!(got == messages.concat().as_bytes(), "in reads of {read}");
        }
    }
}
