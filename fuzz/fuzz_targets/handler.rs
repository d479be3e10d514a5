//! A handler on a stream that moves, waits and fails as it likes: it is told what a connection makes of the same bytes, and
//! what it answers is written.
#![no_main]

use std::sync::{Arc, Mutex};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sansocket::{
    Accept, Cause, CloseCode, Data, Disconnect, Event, Kind, Message, ProtocolError, Request, Role,
};
use sansocket_driver::{Decision, Handler, Outcome, Reply, Serve};
use sansocket_fuzz::settings::Settings;
use sansocket_fuzz::stream::{Part, stream};
use sansocket_fuzz::transport::{Peer, Script, timeless};
use sansocket_tests::open;
use sansocket_tests::scripted::{Clock, REQUEST, Task};
use sansocket_tests::splits::{push, run};
use sansocket_tests::wire::{BINARY, TEXT};

#[derive(Arbitrary, Clone, Copy, Debug)]
struct How {
    /// It closes the connection at this message.
    last: Option<u8>,
    /// The task is dropped after so many polls.
    dropped: Option<u8>,
}

fuzz_target!(|input: (Settings, How, Script, Vec<Part>)| {
    let (settings, how, script, parts) = input;
    let stream = stream(Role::Server, &parts);
    let config = timeless(&settings);
    let mut expected = run(open(Role::Server, &config), [&stream[..]]);
    let cause = expected.end.cause().clone();
    expected.events.retain(|event| !matches!(event, Event::Close(_)));

    let ((end, grip), clock, told) =
        (sansocket_tests::scripted::stream(), Clock::new(), Arc::<Mutex<Told>>::default());
    let handler = Echo { last: how.last.map(usize::from), told: Arc::clone(&told) };
    let mut task = Task::new(Serve::new(end, clock.alarm(), config, handler));
    grip.give(REQUEST);
    assert!(task.settle().is_pending());
    grip.take_head();
    let mut peer = Peer::new(Role::Server, grip, &script, &stream);
    let ended = peer.drive(&mut task, how.dropped.map_or(usize::MAX, usize::from));
    drop(task);

    let told = told.lock().unwrap();
    let closed = told.closed_at.is_some();
    if let Some(at) = told.closed_at {
        expected.events.truncate(at);
    }
    let complete = ended.is_some() && !script.cuts_reads();
    match complete {
        true => assert_eq!(told.events, expected.events),
        false => is_beginning(&told.events, &expected.events),
    }
    // If the peer just goes, what is queued is dropped.
    let gone = |end: &Result<Disconnect, _>| end.as_ref().is_ok_and(|end| end.cause() == &Cause::Lost);
    let cut = script.cuts_writes() || ended.as_ref().is_none_or(gone);
    let output = peer.finish(cut);
    assert!(told.answers.starts_with(&output.messages), "answers, in order and once each");
    let Some(end) = ended else {
        assert!(told.end.is_none(), "nobody was there to tell it");
        return;
    };
    let end = end.expect("it was opened");
    assert_eq!(told.end.as_ref(), Some(&end));
    // A long text fails when it is whole, which one at the stream's end never is.
    let is_wrong_at_the_end = cause == Cause::Violation(ProtocolError::InvalidUtf8) && cut;
    if complete && !closed && !script.cuts_writes() && !is_wrong_at_the_end {
        assert_eq!(end.cause(), &cause);
    }
    if !cut {
        assert_eq!(output.close.is_some(), end.sent().is_some());
        // What waits behind a fragment is dropped by a Close that answers.
        assert!(settings.fragments() || told.answers == output.messages, "an answer was not written");
    }
});

/// All, or all up to some event, of which there may be only a part.
fn is_beginning(events: &[Event<'_>], of: &[Event<'_>]) {
    assert!(events.len() <= of.len());
    for (event, whole) in events.iter().zip(of) {
        match (event, whole) {
            (Event::Data(part), Event::Data(whole)) if !part.last => {
                assert!((part.kind, part.first) == (whole.kind, whole.first));
                assert!(whole.payload.starts_with(&part.payload));
            }
            _ => assert_eq!(event, whole),
        }
    }
}

/// What a handler was told, and said.
#[derive(Debug, Default)]
struct Told {
    events: Vec<Event<'static>>,
    answers: Vec<(u8, Vec<u8>)>,
    closed_at: Option<usize>,
    end: Option<Disconnect>,
}

struct Echo {
    last: Option<usize>,
    told: Arc<Mutex<Told>>,
}

impl Echo {
    fn tell(&self, event: Event<'_>) -> Outcome {
        let mut told = self.told.lock().unwrap();
        assert_eq!((&told.end, told.closed_at), (&None, None), "{event:?} behind the end");
        push(&mut told.events, event.into_owned());
        Ok(())
    }
}

impl Handler for Echo {
    type Info = ();

    async fn init(&mut self, _: Request) -> Decision {
        Accept::new().into()
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        let opcode = if message.kind() == Kind::Text { TEXT } else { BINARY };
        let owned = message.borrow().into_owned();
        self.tell(Event::Message(owned.clone()))?;
        let mut told = self.told.lock().unwrap();
        // Its output may be full.
        if reply.send(message).is_ok() {
            told.answers.push((opcode, owned.into_bytes()));
        }
        if self.last.is_some_and(|last| told.answers.len() > last) {
            reply.close(CloseCode::GOING_AWAY);
            told.closed_at = Some(told.events.len());
        }
        Ok(())
    }

    fn data(&mut self, data: Data<'_>, _: &mut Reply<'_, ()>) -> Outcome {
        self.tell(Event::Data(data))
    }

    fn ping(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.tell(Event::Ping(payload.into()))
    }

    fn pong(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.tell(Event::Pong(payload.into()))
    }

    fn close(&mut self, disconnect: &Disconnect) {
        let before = self.told.lock().unwrap().end.replace(disconnect.clone());
        assert_eq!(before, None, "it ended twice");
    }
}
