//! A stream that does as the fuzzer's bytes say, and the peer at its other end.

use core::task::Poll;
use std::io::ErrorKind;

use arbitrary::Arbitrary;
use sansocket::{Config, Keepalive, Role};
use sansocket_tests::scripted::{Grip, Step, Task};

use crate::Output;
use crate::settings::{Settings, scaled};
use crate::stream::pieces;

/// More often nothing is polled: whatever it does, it comes to an end.
const POLLS: usize = 100_000;

/// What one call on the stream does.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Does {
    Move(u8),
    Wait,
    Yield,
    Interrupted,
    Fail,
    Zero,
}

impl Does {
    fn step(self) -> Step {
        match self {
            Self::Move(n) => Step::Move(usize::from(n).max(1)),
            Self::Wait => Step::Wait,
            Self::Yield => Step::Yield,
            Self::Interrupted => Step::Fail(ErrorKind::Interrupted),
            Self::Fail => Step::Fail(ErrorKind::ConnectionReset),
            Self::Zero => Step::Zero,
        }
    }

    fn is_fault(self) -> bool {
        matches!(self, Self::Fail | Self::Zero)
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    reads: Vec<Does>,
    writes: Vec<Does>,
    flushes: Vec<Does>,
    /// How much can be written before the peer reads.
    room: Option<u16>,
    /// What is written waits for a flush.
    holds: bool,
    /// How the stream's pieces are cut.
    sizes: Vec<u16>,
    /// It ends with an error.
    fails: bool,
}

impl Script {
    /// Reading may end before the stream does.
    pub fn cuts_reads(&self) -> bool {
        self.reads.iter().any(|does| does.is_fault())
    }

    /// Writing may end before the endpoint has said all.
    pub fn cuts_writes(&self) -> bool {
        self.writes.iter().chain(&self.flushes).any(|does| does.is_fault())
    }
}

/// Settings for a clock that stands still.
pub fn timeless(settings: &Settings) -> Config {
    settings
        .config()
        .idle_timeout(None)
        .pong_timeout(None)
        .handshake_timeout(None)
        .keepalive(Keepalive::Off)
        .close_timeout(core::time::Duration::from_secs(10))
}

/// A peer that says the next piece of what it has to say when nothing goes on without, and reads all that is written.
pub struct Peer<'s> {
    grip: Grip,
    pieces: std::vec::IntoIter<&'s [u8]>,
    fails: bool,
    /// The stream was let go on, and nothing came of it.
    waited: bool,
    ended: bool,
    /// What the endpoint wrote.
    pub output: Output,
}

impl<'s> Peer<'s> {
    /// The peer of an endpoint in `role`, whose stream is as yet without a script.
    pub fn new(role: Role, grip: Grip, script: &Script, stream: &'s [u8]) -> Self {
        let steps = |does: &[Does]| does.iter().map(|does| does.step()).collect::<Vec<_>>();
        grip.on_read(steps(&script.reads));
        grip.on_write(steps(&script.writes));
        grip.on_flush(steps(&script.flushes));
        if let Some(room) = script.room {
            grip.set_room(scaled(room).max(64));
        }
        if script.holds {
            grip.hold_until_flush();
        }
        let pieces = pieces(stream, &script.sizes).into_iter();
        Self { grip, pieces, fails: script.fails, waited: false, ended: false, output: Output::new(role) }
    }

    /// What the future comes to; nothing, if it is dropped as it still waits after so many polls.
    pub fn run<T>(&mut self, future: impl Future<Output = T>, polls: usize) -> Option<T> {
        self.drive(&mut Task::new(future), polls)
    }

    /// What the task comes to; nothing, if it still waits after so many polls. It is polled only when it was woken, and it
    /// must be woken by whatever it waits for.
    pub fn drive<T>(&mut self, task: &mut Task<'_, T>, polls: usize) -> Option<T> {
        for _ in 0..polls.min(POLLS) {
            if let Poll::Ready(value) = task.poll() {
                self.read();
                return Some(value);
            }
            self.read();
            if !task.is_woken() {
                // First the stream goes on, then the peer.
                if self.waited {
                    self.say();
                }
                self.waited = !self.waited;
                self.grip.wake_reader();
                self.grip.wake_writer();
            }
            while !task.is_woken() {
                assert!(!self.ended, "it sleeps for ever");
                self.say();
            }
        }
        assert!(polls < POLLS, "it never ends");
        None
    }

    pub fn read(&mut self) {
        self.output.push(&self.grip.take());
    }

    /// The endpoint has said all, to the end of a frame unless its writing was cut.
    pub fn finish(mut self, cut: bool) -> Output {
        self.read();
        assert!(cut || self.output.is_between_frames(), "half a frame");
        self.output.check_unfinished();
        self.output
    }

    fn say(&mut self) {
        match self.pieces.next() {
            Some(piece) => self.grip.give(piece),
            None => {
                self.ended = true;
                match self.fails {
                    true => self.grip.fail_reads(ErrorKind::ConnectionReset),
                    false => self.grip.end(),
                }
            }
        }
    }
}
