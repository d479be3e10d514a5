//! Messages that are left where they were read until they are whole, or taken one by one: the same events, output and
//! verdict as without.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sansocket::{Cause, Connection, Event, Input, ProtocolError, Role, Transport};
use sansocket_fuzz::settings::{Settings, scaled};
use sansocket_fuzz::stream::{Part, pieces, stream};
use sansocket_tests::splits::{Record, push, run};
use sansocket_tests::{START, open, take_output};

#[derive(Arbitrary, Clone, Copy, Debug)]
struct How {
    patience: u16,
    /// Whether messages are asked for before anything else is.
    messages: bool,
    /// Whether it lends memory for long messages.
    lends: bool,
}

/// A header, at most.
const HEADER: usize = 14;

fuzz_target!(|input: (bool, Settings, How, Vec<u16>, Vec<Part>)| {
    let (client, settings, how, sizes, parts) = input;
    let role = if client { Role::Client } else { Role::Server };
    let stream = stream(role, &parts);
    let open = || open(role, &settings.config());
    let expected = run(open(), [&stream[..]]);
    let mut end = Patient {
        connection: open(),
        how,
        left: Vec::new(),
        missing: 0,
        order: Vec::new(),
        output: Vec::new(),
    };
    let mut events = Vec::new();
    for piece in pieces(&stream, &sizes) {
        end.read(piece, &mut events);
    }
    let waits = end.missing > 0;
    let record = end.finish(events);
    let wrong_text = Cause::Violation(ProtocolError::InvalidUtf8);
    if waits && record.end.cause() == &Cause::Lost && expected.end.cause() == &wrong_text {
        // A long text fails when it is whole, which it never came to be.
        assert_eq!(record.events, expected.events);
        assert!(expected.output.starts_with(&record.output));
    } else {
        assert_eq!(record, expected, "patient, then not");
    }
});

/// One end that reads into a buffer of its own.
struct Patient {
    connection: Connection,
    how: How,
    left: Vec<u8>,
    missing: usize,
    order: Vec<usize>,
    output: Vec<u8>,
}

impl Patient {
    fn read(&mut self, piece: &[u8], events: &mut Vec<Event<'static>>) {
        let is_too_little = piece.len() < self.missing;
        let before = (events.len(), self.left.len() + piece.len());
        self.left.extend_from_slice(piece);
        loop {
            let count = self.left.len();
            self.take(events);
            // What is missing is the peer's to send; all else that keeps input waiting is output.
            let stuck = self.left.len() == count && self.connection.transmit().is_empty();
            if self.left.is_empty() || self.missing > 0 || stuck {
                break;
            }
            self.output.extend(take_output(&mut self.connection));
        }
        if is_too_little {
            assert_eq!((events.len(), self.left.len()), before, "less was missing than it said");
        }
        if self.missing > 0 {
            assert!(!self.left.is_empty() && self.left.len() < scaled(self.how.patience) + HEADER);
        }
    }

    fn take(&mut self, events: &mut Vec<Event<'static>>) {
        let mut lender = |len| Vec::with_capacity(len + len / 2);
        let mut input = Input::new(&mut self.left).with_patience(scaled(self.how.patience));
        if self.how.lends {
            input = input.with_memory(&mut lender);
        }
        loop {
            let message = match self.how.messages {
                true => self.connection.receive_message(|| START, &mut input).map(Event::Message),
                false => None,
            };
            let event = message.or_else(|| self.connection.receive(START, &mut input));
            let Some(event) = event else { break };
            self.order.extend(push(events, event.into_owned()));
        }
        self.missing = input.missing();
        self.left = input.into_rest().to_vec();
    }

    fn finish(mut self, events: Vec<Event<'static>>) -> Record {
        self.output.extend(take_output(&mut self.connection));
        let shutdown = self.connection.transport() == Transport::ShutdownWrite;
        let state = self.connection.state();
        assert_eq!(self.connection.receive_eof(), None);
        let Transport::Close(end) = self.connection.transport() else { panic!("not over") };
        Record { events, order: self.order, output: self.output, state, shutdown, end: end.clone() }
    }
}
