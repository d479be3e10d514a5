//! Where a stream is cut must make no difference, nor when events are taken.

use sansocket::{Accept, Connection, Data, Disconnect, Event, Input, Kind, Message, State, Transport};

use crate::START;

/// All that an observer sees of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The events, pieces of one message joined where its first one was.
    pub events: Vec<Event<'static>>,
    /// The events in the order in which they were complete.
    pub order: Vec<usize>,
    /// What it wrote.
    pub output: Vec<u8>,
    /// Where it is in its life after that.
    pub state: State,
    /// What it wants done with the transport when all is written: `true` for closing the writing direction.
    pub shutdown: bool,
    /// How it would end if the transport ended now.
    pub end: Disconnect,
}

impl Record {
    /// The same, if messages had been handed out whole: each where it was complete, and none that never was.
    pub fn as_whole(&self) -> Self {
        let events: Vec<_> = self.order.iter().map(|i| as_whole(self.events[*i].clone())).collect();
        Self { order: (0..events.len()).collect(), events, ..self.clone() }
    }
}

/// Runs `stream` through connections that `make` makes: whole, byte by byte, and cut in two at every place.
/// Requests are accepted. Asserts that all runs are the same to an observer, and returns what that is.
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

/// Runs the pieces of a stream through `connection`. Output is taken at the end, or when nothing goes on
/// without.
pub fn run<'s>(connection: Connection, pieces: impl IntoIterator<Item = &'s [u8]>) -> Record {
    let writing = Writing::at_the_end();
    let mut run = Run::new(connection, offer, Program::default(), &writing);
    for piece in pieces {
        run.come(piece, usize::MAX);
    }
    run.finish()
}

/// Runs a stream through `connection`, cut at these places in it and where output is written.
pub fn run_scheduled(
    connection: Connection,
    stream: &[u8],
    cuts: &[usize],
    schedule: &Schedule<'_>,
) -> Record {
    let Schedule { offer, program, takes, writing } = *schedule;
    let mut run = Run::new(connection, offer, program, writing);
    let mut takes = takes.iter().cycle();
    let (mut cuts, mut writes) = (cuts.iter().peekable(), writing.at.iter().peekable());
    let mut begin = 0;
    while let Some(end) = [cuts.peek(), writes.peek()].into_iter().flatten().map(|end| **end).min() {
        cuts.next_if_eq(&&end);
        let writes = writes.next_if_eq(&&end).is_some();
        let most = if writes { usize::MAX } else { *takes.next().unwrap_or(&usize::MAX) };
        run.come(&stream[begin..end], most);
        if writes {
            run.write();
        }
        begin = end;
    }
    run.come(&stream[begin..], usize::MAX);
    run.finish()
}

/// What a run has beside its stream and the cuts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'s> {
    pub offer: Offer,
    pub program: Program,
    /// How many events are taken when a piece has come, in turn. Before output is written, and at the end,
    /// all are.
    pub takes: &'s [usize],
    pub writing: &'s Writing,
}

/// What a program does with what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    #[default]
    Listens,
    /// It sends each message back.
    Echoes,
}

/// When output is written, and how much of it.
#[derive(Clone, Debug)]
pub struct Writing {
    /// Where in the stream, in order. Besides, when nothing goes on without, and at the end.
    pub at: Vec<usize>,
    /// How many bytes, in turn; not zero.
    pub sizes: Vec<usize>,
}

impl Writing {
    pub fn at_the_end() -> Self {
        Self { at: Vec::new(), sizes: vec![usize::MAX] }
    }
}

/// A way to hand bytes in: lends the connection what has come, `inbox`, until it has taken so many events or
/// there are no more, and takes out what the connection has taken. Whether it goes on only if output is
/// written.
pub type Offer = fn(&mut Connection, inbox: &mut Vec<u8>, most: usize, &mut Observer) -> bool;

/// All that has come is taken, that of an unfinished frame too, unless the connection cannot go on.
pub fn offer(connection: &mut Connection, inbox: &mut Vec<u8>, most: usize, observer: &mut Observer) -> bool {
    let offered = inbox.len();
    let mut input = Input::new(inbox);
    for _ in 0..most {
        let Some(event) = connection.receive(START, &mut input) else {
            let waits = !input.is_empty();
            assert!(!waits || !connection.wants_read(), "it wants to read and leaves what was read");
            let taken = offered - input.remaining();
            inbox.drain(..taken);
            return waits;
        };
        observer.see(connection, event);
    }
    let taken = offered - input.remaining();
    inbox.drain(..taken);
    false
}

/// What is not whole stays in the inbox.
pub fn offer_patiently(
    connection: &mut Connection,
    inbox: &mut Vec<u8>,
    most: usize,
    observer: &mut Observer,
) -> bool {
    let offered = inbox.len();
    let mut input = Input::new(inbox).with_patience(usize::MAX);
    let mut ended = false;
    for _ in 0..most {
        let Some(event) = connection.receive(START, &mut input) else {
            ended = true;
            break;
        };
        observer.see(connection, event);
    }
    let waits = ended && !input.is_empty() && input.missing() == 0;
    assert!(!waits || !connection.wants_read(), "it wants to read and leaves what was read");
    let taken = offered - input.remaining();
    inbox.drain(..taken);
    waits
}

/// One message at a time, if it is there.
pub fn offer_by_message(
    connection: &mut Connection,
    inbox: &mut Vec<u8>,
    most: usize,
    observer: &mut Observer,
) -> bool {
    for _ in 0..most {
        let offered = inbox.len();
        let mut input = Input::new(inbox);
        let message = connection.receive_message(|| START, &mut input).map(Message::into_owned);
        let taken = offered - input.remaining();
        inbox.drain(..taken);
        match message {
            Some(message) => observer.see(connection, Event::Message(message)),
            None if offer(connection, inbox, 1, observer) => return true,
            None if inbox.is_empty() => return false,
            None => {}
        }
    }
    false
}

/// Notes the events.
#[derive(Debug, Default)]
pub struct Observer {
    events: Vec<Event<'static>>,
    order: Vec<usize>,
    program: Program,
}

impl Observer {
    /// Requests are accepted.
    pub fn see(&mut self, connection: &mut Connection, event: Event<'_>) {
        if let Event::Request(_) = event {
            connection.accept(START, Accept::new()).unwrap();
        }
        let Some(at) = push(&mut self.events, event.into_owned()) else { return };
        self.order.push(at);
        if self.program == Program::Echoes
            && let Event::Message(message) = as_whole(self.events[at].clone())
        {
            // It may be closing.
            let _ = connection.send(message);
        }
    }
}

/// Adds an event, to the message that it is a piece of if there is one. Which is complete now.
pub fn push(events: &mut Vec<Event<'static>>, event: Event<'static>) -> Option<usize> {
    if let Event::Data(Data { first: false, payload, last, .. }) = &event
        // A control frame between two pieces: the message's first piece is further back.
        && let Some((at, open)) = unfinished(events)
    {
        open.payload.to_mut().extend_from_slice(payload);
        open.last = *last;
        return last.then_some(at);
    }
    if let Event::Data(Data { first: true, .. }) = event {
        assert!(unfinished(events).is_none(), "a message begins within another");
    }
    let complete = !matches!(event, Event::Data(Data { last: false, .. }));
    events.push(event);
    complete.then_some(events.len() - 1)
}

fn unfinished<'e>(events: &'e mut [Event<'static>]) -> Option<(usize, &'e mut Data<'static>)> {
    events.iter_mut().enumerate().rev().find_map(|(at, event)| match event {
        Event::Data(data) if !data.last => Some((at, data)),
        _ => None,
    })
}

fn as_whole(event: Event<'static>) -> Event<'static> {
    match event {
        Event::Data(Data { kind: Kind::Text, payload, .. }) => {
            Event::Message(Message::text(String::from_utf8(payload.into_owned()).expect("text")))
        }
        Event::Data(Data { kind: Kind::Binary, payload, .. }) => Event::Message(Message::Binary(payload)),
        event => event,
    }
}

struct Run<'w> {
    connection: Connection,
    offer: Offer,
    observer: Observer,
    inbox: Vec<u8>,
    output: Vec<u8>,
    sizes: core::iter::Cycle<core::slice::Iter<'w, usize>>,
}

impl<'w> Run<'w> {
    fn new(connection: Connection, offer: Offer, program: Program, writing: &'w Writing) -> Self {
        let observer = Observer { program, ..Observer::default() };
        let sizes = writing.sizes.iter().cycle();
        Self { connection, offer, observer, inbox: Vec::new(), output: Vec::new(), sizes }
    }

    fn come(&mut self, piece: &[u8], most: usize) {
        self.inbox.extend_from_slice(piece);
        while (self.offer)(&mut self.connection, &mut self.inbox, most, &mut self.observer)
            && !self.connection.transmit().is_empty()
        {
            self.write();
        }
    }

    fn write(&mut self) {
        let most = *self.sizes.next().expect("some sizes");
        let before = self.output.len();
        for slice in self.connection.transmit().slices() {
            let room = most - (self.output.len() - before);
            self.output.extend_from_slice(&slice[..room.min(slice.len())]);
        }
        self.connection.transmitted(self.output.len() - before);
    }

    /// Whether a text is left that is so long that its first wrong byte is told when all of it is there.
    fn leaves_long_text(&self) -> bool {
        match self.inbox[..] {
            [0x81, size, a, b, ..] => match size & 0x7F {
                126 => u16::from_be_bytes([a, b]) >= 16 * 1024,
                size => size == 127,
            },
            _ => false,
        }
    }

    fn finish(mut self) -> Record {
        if self.leaves_long_text() {
            self.offer = offer;
            self.come(&[], usize::MAX);
        }
        while !self.connection.transmit().is_empty() {
            self.write();
        }
        let Self { mut connection, mut observer, output, .. } = self;
        let (state, shutdown) = (connection.state(), connection.transport() == Transport::ShutdownWrite);
        if let Some(event) = connection.receive_eof() {
            observer.see(&mut connection, event);
        }
        let Transport::Close(end) = connection.transport() else {
            panic!("not over after the end of the transport")
        };
        let Observer { events, order, .. } = observer;
        Record { events, order, output, state, shutdown, end: end.clone() }
    }
}
