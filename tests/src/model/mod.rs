//! A model of one endpoint after the opening handshake: what RFC 6455 §5 to §7 and our limits say that it
//! does and tells, from what its application, its clock and its transport do. It knows no bytes and calls
//! none of the library.

pub mod ops;
mod owed;
pub mod reader;
pub mod settings;
pub mod world;

use core::time::Duration;
use std::collections::VecDeque;

use sansocket::{Instant, Kind, Role, SendError, Side, State, Timer};

use self::owed::Owed;
use self::reader::Item;
use self::settings::Settings;

/// While less than this waits to be written, each Ping is answered; while less than the second, if fragments
/// wait.
const CONTROL_ROOM: [usize; 2] = [4096, 16 << 10];
/// A peer that reads this much in the time of a timeout is not dead.
const MIN_PROGRESS: usize = 4096;

/// One endpoint.
#[derive(Debug)]
pub struct Model {
    role: Role,
    settings: Settings,
    pub phase: Phase,
    pub paused: bool,
    /// How it ends.
    pub end: Option<End>,
    /// The application began that: all that it has said before goes out.
    pub has_last_word: bool,
    clock: Clock,
    /// What the application has sent, and nobody has seen written.
    messages: VecDeque<(Kind, Vec<u8>)>,
    piece: Option<(Kind, Vec<u8>)>,
    pings: VecDeque<Vec<u8>>,
    pongs: VecDeque<Vec<u8>>,
    owed: Owed,
    /// Its Close is through.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Open,
    /// A Close was sent, or nothing can be, and none came.
    Closing,
    /// Nothing is received any more (§7.1.1): it writes what it has, says so by closing that direction or
    /// not, and waits for the other to end, if it has not.
    Draining {
        shutdown: bool,
        eof: bool,
    },
    Closed,
}

/// The verdict (§7.1.4 to §7.1.7). Closes are their payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub why: Why,
    pub sent: Option<Vec<u8>>,
    pub received: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Closed(Side),
    Lost,
    /// With this code.
    Violation(u16),
    TimedOut(Timer),
}

#[derive(Debug)]
struct Clock {
    /// When something last came, or it began to listen.
    heard: Instant,
    /// When the keepalive last had its turn.
    pinged: Instant,
    /// How many Pings it has measured, and whether the last of them is still out.
    probes: u64,
    out: bool,
    pong_by: Option<Instant>,
    close_by: Option<Instant>,
    /// Bytes written since something was heard, or since the Close was queued.
    wrote: usize,
    /// Written enough of them the last time it was asked.
    lagging: bool,
    /// Some of it while so much waited that it did not listen, or could not ask.
    stalled: bool,
}

/// What waits to be written.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// That can be written now.
    pub ready: usize,
    pub all: usize,
}

impl Queue {
    fn has_room(self) -> bool {
        self.ready < CONTROL_ROOM[usize::from(self.all > self.ready)]
    }
}

/// What the application does.
impl Model {
    pub fn new(role: Role, settings: Settings, now: Instant) -> Self {
        Self {
            role,
            settings,
            phase: Phase::Open,
            paused: false,
            end: None,
            has_last_word: false,
            clock: Clock {
                heard: now,
                pinged: now,
                probes: 0,
                out: false,
                pong_by: None,
                close_by: None,
                wrote: 0,
                lagging: false,
                stalled: false,
            },
            messages: VecDeque::new(),
            piece: None,
            pings: VecDeque::new(),
            pongs: VecDeque::new(),
            owed: Owed::default(),
            closed: false,
        }
    }

    pub fn can_send(&self, queue: Queue) -> Result<(), SendError> {
        match (self.check_room(queue), &self.piece) {
            (Err(SendError::Closed), _) => Err(SendError::Closed),
            (_, Some(_)) => Err(SendError::MessageInProgress),
            (room, None) => room,
        }
    }

    /// For a control frame, or a piece.
    pub fn check_room(&self, queue: Queue) -> Result<(), SendError> {
        match self.phase {
            Phase::Open if queue.all >= self.settings.hard_limit => Err(SendError::Full),
            Phase::Open => Ok(()),
            _ => Err(SendError::Closed),
        }
    }

    pub fn send(&mut self, queue: Queue, kind: Kind, message: &[u8]) -> Result<(), SendError> {
        self.can_send(queue)?;
        self.messages.push_back((kind, message.to_vec()));
        Ok(())
    }

    pub fn begin(&mut self, queue: Queue, kind: Kind) -> Result<(), SendError> {
        self.can_send(queue)?;
        self.piece = Some((kind, Vec::new()));
        Ok(())
    }

    pub fn push(&mut self, queue: Queue, piece: &[u8], last: bool) -> Result<(), SendError> {
        self.check_room(queue)?;
        self.piece.as_mut().ok_or(SendError::NoMessageInProgress)?.1.extend_from_slice(piece);
        if last {
            self.messages.extend(self.piece.take());
        }
        Ok(())
    }

    pub fn ping(&mut self, queue: Queue, payload: &[u8]) -> Result<(), SendError> {
        self.check_room(queue)?;
        self.pings.push_back(payload.to_vec());
        Ok(())
    }

    pub fn pong(&mut self, queue: Queue, payload: &[u8]) -> Result<(), SendError> {
        self.check_room(queue)?;
        self.pongs.push_back(payload.to_vec());
        Ok(())
    }

    /// A Ping that is measured: the one before again, while its Pong is out.
    pub fn probe(&mut self, now: Instant, queue: Queue) -> Result<(), SendError> {
        self.check_room(queue)?;
        let clock = &mut self.clock;
        if !clock.out {
            clock.out = true;
            clock.probes += 1;
            clock.pong_by = self.settings.pong.filter(|_| !self.paused).map(|pong| now + pong);
        }
        self.pings.push_back(clock.probes.to_be_bytes().to_vec());
        Ok(())
    }

    pub fn close(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        self.has_last_word = true;
        self.begin_close(now, Why::Closed(Side::Local), payload.to_vec());
        Ok(())
    }

    pub fn pause(&mut self) {
        self.paused |= self.phase == Phase::Open;
    }

    pub fn resume(&mut self, now: Instant) {
        if core::mem::take(&mut self.paused) {
            let clock = &mut self.clock;
            (clock.heard, clock.pinged) = (now, now);
            clock.pong_by = self.settings.pong.filter(|_| clock.out).map(|pong| now + pong);
        }
    }
}

/// What comes.
impl Model {
    pub fn heard(&mut self, now: Instant) {
        self.clock.heard = now;
        if self.phase == Phase::Open {
            self.clock.wrote = 0;
            self.clock.stalled = false;
        }
    }

    /// Whether it takes nothing: its application wants that, or too much waits to be written.
    pub fn is_deaf(&self, queue: Queue) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing)
            && (self.paused || queue.ready >= self.settings.high_water)
    }

    /// Whether it takes all that has come. If too much waits in fragments, it takes control frames only.
    pub fn listens(&self, queue: Queue) -> bool {
        let over = matches!(self.phase, Phase::Draining { .. } | Phase::Closed);
        over || !self.paused && queue.all < self.settings.high_water
    }

    /// What it took says this.
    pub fn received(&mut self, now: Instant, item: &Item, queue: Queue) {
        assert!(matches!(self.phase, Phase::Open | Phase::Closing));
        match item {
            Item::Message(..) => {}
            Item::Ping(payload) if self.phase == Phase::Open => self.owed.ping(payload, queue.has_room()),
            Item::Ping(_) => {}
            Item::Pong(payload) => {
                if self.clock.out && payload[..] == self.clock.probes.to_be_bytes() {
                    self.clock.out = false;
                    self.clock.pong_by = None;
                }
            }
            Item::Close(payload) => self.close_received(now, payload),
            Item::Fault(code) => {
                let why = Why::Violation(*code);
                if self.phase == Phase::Open {
                    self.begin_close(now, why, code.to_be_bytes().to_vec());
                }
                self.end.as_mut().expect("it is closing").why = why;
                self.drain(now, true);
            }
        }
    }

    fn close_received(&mut self, now: Instant, payload: &[u8]) {
        if self.phase == Phase::Open {
            // §5.5.1: the code comes back.
            let echo = payload.get(..2).unwrap_or_default();
            self.begin_close(now, Why::Closed(Side::Remote), echo.to_vec());
        }
        let end = self.end.as_mut().expect("it is closing");
        end.received = Some(payload.to_vec());
        if end.why == Why::Lost {
            end.why = Why::Closed(Side::Remote);
        }
        match end.sent {
            Some(_) => self.drain(now, self.role == Role::Server),
            None => self.phase = Phase::Closed,
        }
    }

    /// The transport has no more.
    pub fn eof(&mut self, through: bool) {
        match &mut self.phase {
            Phase::Draining { eof, .. } if !through => *eof = true,
            Phase::Draining { .. } => self.phase = Phase::Closed,
            Phase::Open | Phase::Closing => self.over(Why::Lost, through),
            Phase::Closed => {}
        }
    }

    pub fn transport_failed(&mut self, through: bool) {
        self.over(Why::Lost, through);
    }

    pub fn write_failed(&mut self, now: Instant, through: bool) {
        match self.phase {
            Phase::Open => {
                self.end = Some(End { why: Why::Lost, sent: None, received: None });
                self.enter_closing(now);
            }
            Phase::Closing if through => {}
            Phase::Closing => self.end.as_mut().expect("it is closing").sent = None,
            Phase::Draining { .. } | Phase::Closed => self.over(Why::Lost, through),
        }
        self.forget();
    }
}

/// What is written.
impl Model {
    /// Bytes have gone, of so many.
    pub fn wrote(&mut self, bytes: usize, before: Queue, after: Queue) {
        self.clock.wrote += bytes;
        let waits = before.all >= self.settings.high_water.min(CONTROL_ROOM[0]);
        self.clock.stalled |= bytes > 0 && waits;
        if after.all == 0 && matches!(self.phase, Phase::Draining { eof: true, .. }) {
            self.phase = Phase::Closed;
        }
    }

    /// What goes out says this.
    pub fn says(&mut self, item: &Item) {
        assert!(!self.closed, "{item:?} behind a Close");
        match item {
            Item::Message(kind, message) => {
                let sent = self.messages.pop_front().expect("a message that was sent");
                assert!(sent.0 == *kind && sent.1 == *message, "another message, or not in order");
            }
            Item::Ping(payload) => assert_eq!(self.pings.pop_front().as_ref(), Some(payload)),
            Item::Pong(payload) if self.pongs.front() == Some(payload) => _ = self.pongs.pop_front(),
            Item::Pong(payload) => assert!(self.owed.pong(payload), "no Ping for this, or one not answered"),
            Item::Close(payload) => {
                let end = self.end.as_ref().expect("it is closing");
                assert_eq!(end.sent.as_ref(), Some(payload));
                assert!(self.pings.is_empty() && self.pongs.is_empty(), "control frames were forgotten");
                assert!(self.owed.may_end(), "a Ping was not answered");
                // Otherwise, what waits in fragments is dropped.
                let all = self.has_last_word || self.settings.auto_fragment.is_none();
                assert!(!all || self.messages.is_empty(), "messages were forgotten");
                self.closed = true;
            }
            Item::Fault(code) => panic!("it breaks the protocol: {code}"),
        }
    }

    /// All is written, and it is open: nothing is forgotten, and the newest Ping was answered.
    pub fn is_through(&self) -> bool {
        let all_said = self.messages.is_empty() && self.pings.is_empty() && self.pongs.is_empty();
        all_said && self.owed.is_through()
    }
}

/// Time.
impl Model {
    /// By when it must have been asked the time.
    pub fn deadline(&self) -> Option<Instant> {
        let silence = |limit: Option<Duration>| limit.map(|limit| self.clock.heard + limit);
        match self.phase {
            Phase::Open if self.paused => None,
            Phase::Open => {
                let all = [silence(self.settings.idle), self.ping_at(), self.clock.pong_by];
                all.into_iter().flatten().min()
            }
            Phase::Closing | Phase::Draining { .. } => self.clock.close_by,
            Phase::Closed => None,
        }
    }

    /// It is asked the time; `stays` if it was seen to be open then, `pings` if it was seen to send
    /// something.
    pub fn timeout(&mut self, now: Instant, queue: Queue, through: bool, stays: bool, pings: bool) {
        match self.phase {
            Phase::Open if !self.paused => self.open_timeout(now, queue, stays, pings),
            Phase::Closing | Phase::Draining { .. } if self.clock.close_by.is_some_and(|at| at <= now) => {
                let clock = &mut self.clock;
                let wrote = core::mem::take(&mut clock.wrote);
                let enough = wrote >= MIN_PROGRESS;
                let rest = core::mem::replace(&mut clock.lagging, enough) && wrote > 0 && queue.all == 0;
                match enough || rest {
                    true => clock.close_by = Some(now + self.settings.close),
                    false => self.over(Why::TimedOut(Timer::Close), through),
                }
            }
            _ => {}
        }
    }

    fn open_timeout(&mut self, now: Instant, queue: Queue, stays: bool, pings: bool) {
        let pong = self.clock.pong_by.is_some_and(|at| at <= now);
        let idle = self.settings.idle.is_some_and(|idle| self.clock.heard + idle <= now);
        if pong || idle {
            if stays && self.clock.stalled {
                // It did not listen, and the peer read: that is all there was to hear.
                self.clock.heard = now;
                self.clock.wrote = 0;
                self.clock.pong_by = self.settings.pong.filter(|_| self.clock.out).map(|pong| now + pong);
            } else {
                let (timer, code) = if pong { (Timer::Pong, 1011_u16) } else { (Timer::Idle, 1000) };
                return self.begin_close(now, Why::TimedOut(timer), code.to_be_bytes().to_vec());
            }
        }
        assert!(stays, "it closes, and nothing is due");
        if self.ping_at().is_some_and(|at| at <= now) {
            self.clock.pinged = now;
            let room = queue.has_room() && queue.all < self.settings.hard_limit;
            assert_eq!(pings, room, "a Ping of the keepalive");
            // If there is no room, that the peer reads stands for its Pong.
            self.clock.stalled |= !pings;
            if pings {
                self.probe(now, Queue { ready: 0, all: 0 }).expect("it is open");
            }
        } else {
            assert!(!pings, "a Ping that is not due");
        }
    }

    fn ping_at(&self) -> Option<Instant> {
        self.settings.ping_at(self.clock.heard, self.clock.pinged)
    }
}

/// The end.
impl Model {
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Open => State::Open,
            Phase::Closing | Phase::Draining { .. } => State::Closing,
            Phase::Closed => State::Closed,
        }
    }

    fn begin_close(&mut self, now: Instant, why: Why, payload: Vec<u8>) {
        self.end = Some(End { why, sent: Some(payload), received: None });
        self.enter_closing(now);
    }

    fn enter_closing(&mut self, now: Instant) {
        self.phase = Phase::Closing;
        self.paused = false;
        self.piece = None;
        self.clock.wrote = 0;
        self.clock.lagging = false;
        self.clock.close_by = Some(now + self.settings.close);
    }

    fn drain(&mut self, now: Instant, shutdown: bool) {
        self.phase = Phase::Draining { shutdown, eof: false };
        self.clock.close_by = Some(now + self.settings.close);
    }

    /// There is nothing to wait for; `through` if its Close is written, if it has one.
    fn over(&mut self, why: Why, through: bool) {
        if self.phase == Phase::Closed {
            return;
        }
        let end = self.end.get_or_insert(End { why, sent: None, received: None });
        let clean = end.sent.is_some() && end.received.is_some();
        if matches!(end.why, Why::Closed(_)) && !clean {
            end.why = why;
        }
        if !through {
            end.sent = None;
        }
        self.phase = Phase::Closed;
        self.forget();
    }

    fn forget(&mut self) {
        self.messages.clear();
        self.pings.clear();
        self.pongs.clear();
        self.owed = Owed::default();
    }
}
