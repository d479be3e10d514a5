//! Where a stream is cut must make no difference.

use sansocket::{Accept, Connection, Data, Disconnect, Event, Input, State, Transport};

use crate::{START, take_output};

/// All that an observer sees of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The events, pieces of one message joined.
    pub events: Vec<Event<'static>>,
    /// What it wrote.
    pub output: Vec<u8>,
    /// Where it is in its life after that.
    pub state: State,
    /// What it wants done with the transport when all is written: `true` for closing the writing direction.
    pub shutdown: bool,
    /// How it would end if the transport ended now.
    pub end: Disconnect,
}

/// Runs `stream` through connections that `make` makes: whole, byte by byte, and cut in two at every place. Requests are
/// accepted. Asserts that all runs are the same to an observer, and returns what that is.
pub fn at_every_split(make: impl Fn() -> Connection, stream: &[u8]) -> Record {
    let whole = run(make(), [stream]);
    let bytes: Vec<_> = stream.chunks(1).collect();
    assert_eq!(run(make(), bytes), whole, "byte by byte");
    for cut in 1..stream.len() {
        let (first, second) = stream.split_at(cut);
        assert_eq!(run(make(), [first, second]), whole, "cut at {cut}");
    }
    whole
}

/// Runs the pieces of a stream through `connection`. Output is taken at the end, or when nothing goes on without.
pub fn run<'s>(mut connection: Connection, pieces: impl IntoIterator<Item = &'s [u8]>) -> Record {
    let mut events = Vec::new();
    let mut output = Vec::new();
    let mut left = Vec::new();
    for piece in pieces {
        left.extend_from_slice(piece);
        loop {
            let before = left.len();
            let mut input = Input::new(&mut left);
            while let Some(event) = connection.receive(START, &mut input) {
                if let Event::Request(_) = event {
                    connection.accept(START, Accept::new()).unwrap();
                }
                push(&mut events, event.into_owned());
            }
            left = input.into_rest().to_vec();
            if left.is_empty() || (left.len() == before && connection.transmit().is_empty()) {
                break;
            }
            output.extend(take_output(&mut connection));
        }
    }
    output.extend(take_output(&mut connection));
    let (state, shutdown) = (connection.state(), connection.transport() == Transport::ShutdownWrite);
    if let Some(event) = connection.receive_eof() {
        push(&mut events, event);
    }
    let Transport::Close(end) = connection.transport() else {
        panic!("not over after the end of the transport")
    };
    Record { events, output, state, shutdown, end: end.clone() }
}

/// Adds an event, to the message that it is a piece of if there is one.
pub fn push(events: &mut Vec<Event<'static>>, event: Event<'static>) {
    if let (Event::Data(new), Some(Event::Data(open))) = (&event, events.last_mut())
        && !open.last
    {
        assert!(!new.first, "a message begins within another");
        open.payload.to_mut().extend_from_slice(&new.payload);
        open.last = new.last;
        return;
    }
    // A control frame between two pieces: the message's first piece is further back.
    if let Event::Data(new) = &event
        && !new.first
        && let Some(open) = events.iter_mut().rev().find_map(unfinished)
    {
        open.payload.to_mut().extend_from_slice(&new.payload);
        open.last = new.last;
        return;
    }
    events.push(event);
}

fn unfinished<'e>(event: &'e mut Event<'static>) -> Option<&'e mut Data<'static>> {
    if let Event::Data(data) = event {
        return (!data.last).then_some(data);
    }
    None
}
