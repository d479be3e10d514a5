//! The end of TLS: row T46 of `THREATS.md`. One end is rustls alone, on a stream that is in the test's hands, and sees record by
//! record what the other one writes.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::task::Poll;
use std::io::{ErrorKind, Read, Write};

use rustls::{ClientConnection, Connection as Tls, ServerConnection};
use sansocket::{Cause, ClientRequest, CloseCode, Config, Message, Role, Side};
use sansocket_driver::{Connector, Handler, Outcome, Reply, Server};
use sansocket_tests::certificates::Authority;
use sansocket_tests::heads::answer_to;
use sansocket_tests::lab::{self, Lab};
use sansocket_tests::scripted::{Grip, REQUEST, Task};
use sansocket_tests::wire::{self, CLOSE, TEXT};
use sansocket_tests::world::{self, World, settle, start};

const NAME: &str = "example.com";

/// What a record brought.
#[derive(Debug, PartialEq, Eq)]
enum Record {
    /// These bytes for the application.
    Data(Vec<u8>),
    CloseNotify,
}

/// The test's end of a TLS stream.
struct Hand {
    tls: Tls,
    grip: Grip,
}

impl Hand {
    /// Sends what there is to send, lets the other end run, and says what that wrote, until it writes no more.
    fn exchange(&mut self, mut run: impl FnMut()) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let mut bytes = Vec::new();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut bytes).unwrap();
            }
            self.grip.give(&bytes);
            run();
            let written = self.grip.take();
            if bytes.is_empty() && written.is_empty() {
                return records;
            }
            self.read(&written, &mut records);
        }
    }

    /// One record after the other (RFC 8446 §5.1).
    fn read(&mut self, mut bytes: &[u8], records: &mut Vec<Record>) {
        while let [_, _, _, high, low, ..] = bytes {
            let (mut record, rest) = bytes.split_at(5 + usize::from(u16::from_be_bytes([*high, *low])));
            bytes = rest;
            while !record.is_empty() {
                self.tls.read_tls(&mut record).unwrap();
            }
            let closed = self.tls.process_new_packets().unwrap().peer_has_closed();
            let mut data = Vec::new();
            match self.tls.reader().read_to_end(&mut data) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                Ok(_) => assert!(closed),
            }
            if !data.is_empty() {
                records.push(Record::Data(data));
            }
            if closed {
                records.push(Record::CloseNotify);
            }
        }
        assert!(bytes.is_empty(), "half a record");
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.tls.writer().write_all(bytes.as_ref()).unwrap();
    }
}

/// Says goodbye when it is told to.
struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match message.as_text() {
            Some("stop") => reply.close(CloseCode::GOING_AWAY),
            _ => reply.send(message)?,
        }
        Ok(())
    }
}

#[test]
fn t46_a_server_ends_tls_behind_its_close_frame_and_the_stream_behind_that() {
    for closes in [Side::Remote, Side::Local] {
        let authority = Authority::default();
        let (listener, door) = world::listener();
        let server = Server::<World>::new(Config::new()).rustls(authority.server(&[NAME]).into());
        let _served = start(server.serve(listener, |_| Echo));
        let name = NAME.try_into().unwrap();
        let tls = ClientConnection::new(authority.client().into(), name).unwrap().into();
        let mut client = Hand { tls, grip: door.knock() };
        client.write(REQUEST);
        client.write(wire::frame(Role::Server, TEXT, "m"));
        let records = client.exchange(settle);
        let [Record::Data(opened)] = &records[..] else { panic!("{records:?}") };
        assert!(
            opened.starts_with(b"HTTP/1.1 101 ") && opened.ends_with(&wire::frame(Role::Client, TEXT, "m"))
        );
        let code = if closes == Side::Remote { 1000 } else { 1001 };
        if closes == Side::Local {
            client.write(wire::frame(Role::Server, TEXT, "stop"));
            let records = client.exchange(settle);
            assert_eq!(
                records,
                [Record::Data(wire::close(Role::Client, code, ""))],
                "it waits for the answer"
            );
            assert!(!client.grip.log().shut);
        }
        client.write(wire::close(Role::Server, code, ""));
        let mut records = client.exchange(settle);
        if closes == Side::Remote {
            assert_eq!(records.remove(0), Record::Data(wire::close(Role::Client, code, "")));
        }
        // The stream below is ended behind it: anything written later would have panicked.
        assert_eq!((records, client.grip.log().shut), (vec![Record::CloseNotify], true));
    }
}

#[test]
fn t46_a_client_ends_tls_once_the_server_has_and_behind_its_close_frame() {
    let authority = Authority::default();
    let world = lab::begin();
    let connector = Connector::<Lab>::new().rustls(authority.client().into());
    let mut task = Task::new(async move {
        let request = ClientRequest::new(&format!("wss://{NAME}/")).unwrap();
        let (mut socket, _) = connector.connect(&request).await.unwrap();
        socket.close(CloseCode::NORMAL_CLOSURE).await
    });
    assert!(task.settle().is_pending());
    let tls = ServerConnection::new(authority.server(&[NAME]).into()).unwrap().into();
    let mut server = Hand { tls, grip: world.call().grip };
    let mut end = Poll::Pending;
    let mut run = || {
        if end.is_pending() {
            end = task.settle();
        }
    };
    let records = server.exchange(&mut run);
    let [Record::Data(request)] = &records[..] else { panic!("{records:?}") };
    server.write(answer_to(request, &Config::new()));
    let records = server.exchange(&mut run);
    let [Record::Data(close)] = &records[..] else { panic!("{records:?}") };
    assert_eq!(wire::payloads(close, CLOSE), [wire::close_payload(1000)]);
    server.write(wire::close(Role::Client, 1000, ""));
    assert_eq!(server.exchange(&mut run), [], "it waits for the server to end the stream (§7.1.1)");
    server.tls.send_close_notify();
    assert_eq!(server.exchange(&mut run), [Record::CloseNotify]);
    let Poll::Ready(end) = end else { panic!("it is over") };
    assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Local), true));
}
