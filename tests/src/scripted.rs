//! Byte streams, clocks and tasks that do as a test says, for the driver: no runtime, no threads, no time.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sansocket::{Accept, ClientRequest, Config, Connection, Instant, Role};
use sansocket_driver::{Incoming, Io, Timer, WebSocket, connect};

use crate::pair::Dice;
use crate::{SEED, START, receive_accepting, take_output};

pub use crate::task::{Task, Wakes, run, run_both};

/// A client's request for a WebSocket.
pub const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What one call on a stream does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Moves up to this many bytes, or waits for some.
    Move(usize),
    /// Is pending until the other end of the stream, or the test, wakes it.
    Wait,
    /// Is pending, and wakes the task at once.
    Yield,
    /// Is pending and wakes nobody, ever.
    Forget,
    /// Fails.
    Fail(ErrorKind),
    /// Moves no bytes: the stream's end for who reads, an error for who writes.
    Zero,
}

/// One end of a stream: what the driver is given.
#[derive(Debug)]
pub struct End(Grip);

/// The test's grip on one end of a stream.
#[derive(Clone, Debug)]
pub struct Grip {
    input: Arc<Mutex<Pipe>>,
    output: Arc<Mutex<Pipe>>,
    script: Arc<Mutex<Script>>,
}

/// What an end was asked to do, and did.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// How often it was asked to read.
    pub reads: usize,
    /// Where the memory was that it was to read into.
    pub blocks: Vec<usize>,
    /// All bytes that were written.
    pub written: Vec<u8>,
    /// The bytes of each write, and in how many slices they were offered.
    pub writes: Vec<(usize, usize)>,
    /// The writing direction was closed.
    pub shut: bool,
}

#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    end: Option<Result<(), ErrorKind>>,
    /// So many more bytes can be read before the end, whatever is written.
    cut: Option<(usize, Result<(), ErrorKind>)>,
    /// Nobody reads any more.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct Script {
    reads: VecDeque<Step>,
    writes: VecDeque<Step>,
    flushes: VecDeque<Step>,
    dice: Option<Dice>,
    /// Written and held back until a flush, if the stream has a buffer of its own.
    held: Option<Vec<u8>>,
    /// Where writing ends, and how.
    writes_end: Option<(usize, ErrorKind)>,
    log: Log,
}

/// A stream whose other end is the test.
pub fn stream() -> (End, Grip) {
    let grip = Grip { input: pipe(usize::MAX), output: pipe(usize::MAX), script: Arc::default() };
    (End(grip.clone()), grip)
}

/// Both ends of a stream that holds this many bytes in each direction.
pub fn duplex(room: usize) -> [(End, Grip); 2] {
    let (one, other) = (pipe(room), pipe(room));
    [(&one, &other), (&other, &one)].map(|(input, output)| {
        let grip = Grip { input: Arc::clone(input), output: Arc::clone(output), script: Arc::default() };
        (End(grip.clone()), grip)
    })
}

fn pipe(room: usize) -> Arc<Mutex<Pipe>> {
    let (bytes, end, cut, broken, reader, writer) = Default::default();
    Arc::new(Mutex::new(Pipe { bytes, room, end, cut, broken, reader, writer }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Grip {
    /// Lets the end read these bytes, behind what there is already.
    pub fn give(&self, bytes: impl AsRef<[u8]>) {
        let mut pipe = lock(&self.input);
        pipe.bytes.extend(bytes.as_ref());
        wake(&mut pipe.reader);
    }

    /// Ends what there is to read.
    pub fn end(&self) {
        self.end_with(Ok(()));
    }

    /// Ends what there is to read, with an error.
    pub fn fail_reads(&self, error: ErrorKind) {
        self.end_with(Err(error));
    }

    /// Ends what there is to read after this many more bytes. If by an error, the peer's writes fail from then on.
    pub fn cut_reads(&self, after: usize, end: Result<(), ErrorKind>) {
        lock(&self.input).cut = Some((after, end));
    }

    /// Lets writes fail once this many bytes were written, from the log's beginning.
    pub fn fail_writes(&self, after: usize, error: ErrorKind) {
        lock(&self.script).writes_end = Some((after, error));
    }

    /// What the next calls to read do; those behind them move what there is.
    pub fn on_read(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.script).reads.extend(steps);
    }

    /// What the next calls to write do.
    pub fn on_write(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.script).writes.extend(steps);
    }

    /// What the next calls to flush do: `Move` is for success.
    pub fn on_flush(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.script).flushes.extend(steps);
    }

    /// Leaves it to chance what each call does: short reads and writes, interruptions, waiting.
    pub fn at_random(&self, seed: u64) {
        lock(&self.script).dice = Some(Dice::new(seed));
    }

    /// Holds back what is written until it is flushed, as TLS streams do.
    pub fn hold_until_flush(&self) {
        lock(&self.script).held = Some(Vec::new());
    }

    /// How many bytes may be written and not taken.
    pub fn set_room(&self, room: usize) {
        let mut pipe = lock(&self.output);
        pipe.room = room;
        wake(&mut pipe.writer);
    }

    /// Takes what was written, as a peer that reads.
    pub fn take(&self) -> Vec<u8> {
        let mut pipe = lock(&self.output);
        wake(&mut pipe.writer);
        pipe.bytes.drain(..).collect()
    }

    /// Takes the head of an HTTP response, and forgets all that was done until then.
    pub fn take_head(&self) -> Vec<u8> {
        let mut pipe = lock(&self.output);
        wake(&mut pipe.writer);
        let bytes = pipe.bytes.make_contiguous();
        let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("it was written");
        let head = pipe.bytes.drain(..end + 4).collect();
        let written = pipe.bytes.iter().copied().collect();
        lock(&self.script).log = Log { written, ..Log::default() };
        head
    }

    /// Wakes who waits to read.
    pub fn wake_reader(&self) {
        wake(&mut lock(&self.input).reader);
    }

    /// Wakes who waits to write.
    pub fn wake_writer(&self) {
        wake(&mut lock(&self.output).writer);
    }

    /// Whether the end is gone.
    pub fn is_dropped(&self) -> bool {
        lock(&self.input).broken
    }

    /// What was done.
    pub fn log(&self) -> Log {
        lock(&self.script).log.clone()
    }

    /// Begins a new log, and drops what was written.
    pub fn clear(&self) {
        self.take();
        lock(&self.script).log = Log::default();
    }

    fn end_with(&self, end: Result<(), ErrorKind>) {
        let mut pipe = lock(&self.input);
        pipe.end = Some(end);
        wake(&mut pipe.reader);
    }

    fn deliver(&self, bytes: &[u8]) {
        let mut pipe = lock(&self.output);
        pipe.bytes.extend(bytes);
        wake(&mut pipe.reader);
    }
}

impl Script {
    /// How many bytes a call may move; or what it returns without.
    fn step(
        &mut self,
        cx: &Context<'_>,
        which: fn(&mut Self) -> &mut VecDeque<Step>,
    ) -> Result<usize, Refrain> {
        let step = match (which(self).pop_front(), &mut self.dice) {
            (Some(step), _) => step,
            (None, None) => Step::Move(usize::MAX),
            (None, Some(dice)) => match dice.below(8) {
                0 | 1 => Step::Yield,
                2 => Step::Fail(ErrorKind::Interrupted),
                _ => Step::Move(dice.pick(&[1, 2, 3, 5, 8, 60, 1000, usize::MAX])),
            },
        };
        match step {
            Step::Move(most) => Ok(most),
            Step::Wait => Err(Refrain::Wait),
            Step::Yield => {
                cx.waker().wake_by_ref();
                Err(Refrain::Return(Poll::Pending))
            }
            Step::Forget => Err(Refrain::Return(Poll::Pending)),
            Step::Fail(error) => Err(Refrain::Return(Poll::Ready(Err(error.into())))),
            Step::Zero => Err(Refrain::Return(Poll::Ready(Ok(0)))),
        }
    }
}

enum Refrain {
    Wait,
    Return(Poll<io::Result<usize>>),
}

impl Io for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut script = lock(&self.0.script);
        script.log.reads += 1;
        script.log.blocks.push(buffer.as_ptr().addr());
        let mut pipe = lock(&self.0.input);
        let most = match script.step(cx, |script| &mut script.reads) {
            Ok(most) => most.min(buffer.len()),
            Err(Refrain::Wait) => 0,
            Err(Refrain::Return(result)) => return result,
        };
        let mut n = most.min(pipe.bytes.len());
        if let Some((left, end)) = &mut pipe.cut {
            n = n.min(*left);
            *left -= n;
            if n == 0 && *left == 0 && most > 0 {
                let end = *end;
                pipe.broken = end.is_err();
                wake(&mut pipe.writer);
                return Poll::Ready(end.map(|()| 0).map_err(io::Error::from));
            }
        }
        if n == 0 {
            if most > 0
                && let Some(end) = pipe.end
            {
                return Poll::Ready(end.map(|()| 0).map_err(io::Error::from));
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (front, back) = pipe.bytes.as_slices();
        let split = n.min(front.len());
        buffer[..split].copy_from_slice(&front[..split]);
        buffer[split..n].copy_from_slice(&back[..n - split]);
        pipe.bytes.drain(..n);
        wake(&mut pipe.writer);
        Poll::Ready(Ok(n))
    }

    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(!slices.is_empty() && slices.iter().all(|slice| !slice.is_empty()), "nothing to write");
        let mut script = lock(&self.0.script);
        assert!(!script.log.shut, "written behind the end");
        let mut most = match script.step(cx, |script| &mut script.writes) {
            Ok(most) => most,
            Err(Refrain::Wait) => 0,
            Err(Refrain::Return(result)) => return result,
        };
        if let Some((end, error)) = script.writes_end {
            most = most.min(end - script.log.written.len());
            if most == 0 {
                return Poll::Ready(Err(error.into()));
            }
        }
        let mut pipe = lock(&self.0.output);
        if pipe.broken {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        most = most.min(pipe.room.saturating_sub(pipe.bytes.len()));
        if most == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(pipe);
        let mut bytes = Vec::new();
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(most - bytes.len())]);
        }
        script.log.writes.push((bytes.len(), slices.len()));
        script.log.written.extend(&bytes);
        match &mut script.held {
            Some(held) => held.extend(&bytes),
            None => self.0.deliver(&bytes),
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = lock(&self.0.script);
        match script.step(cx, |script| &mut script.flushes) {
            // Only reads and writes are interrupted.
            Ok(_) | Err(Refrain::Return(Poll::Ready(Ok(_)))) => {}
            Err(Refrain::Return(Poll::Ready(Err(error)))) if error.kind() == ErrorKind::Interrupted => {}
            Err(Refrain::Return(Poll::Ready(Err(error)))) => return Poll::Ready(Err(error)),
            Err(Refrain::Return(Poll::Pending)) => return Poll::Pending,
            Err(Refrain::Wait) => {
                lock(&self.0.output).writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        if let Some(held) = &mut script.held {
            self.0.deliver(&core::mem::take(held));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = lock(&self.0.script);
        script.log.shut = true;
        let mut pipe = lock(&self.0.output);
        pipe.end = Some(Ok(()));
        wake(&mut pipe.reader);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut input = lock(&self.0.input);
        input.broken = true;
        wake(&mut input.writer);
        drop(input);
        let mut output = lock(&self.0.output);
        output.end.get_or_insert(Ok(()));
        wake(&mut output.reader);
    }
}

/// A clock that is moved by hand.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    now: Instant,
    alarms: Vec<Option<(Instant, Waker)>>,
}

/// A clock's timer.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    index: usize,
}

impl Clock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Time { now: START, alarms: Vec::new() })))
    }

    pub fn alarm(&self) -> Alarm {
        let mut time = lock(&self.0);
        time.alarms.push(None);
        Alarm { clock: self.clone(), index: time.alarms.len() - 1 }
    }

    pub fn pass(&self, duration: Duration) {
        let mut time = lock(&self.0);
        time.now = time.now + duration;
        let now = time.now;
        for alarm in &mut time.alarms {
            if let Some((_, waker)) = alarm.take_if(|(at, _)| *at <= now) {
                waker.wake();
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for Alarm {
    fn now(&self) -> Instant {
        lock(&self.clock.0).now
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let mut time = lock(&self.clock.0);
        if at <= time.now {
            return Poll::Ready(());
        }
        time.alarms[self.index] = Some((at, cx.waker().clone()));
        Poll::Pending
    }
}

/// A WebSocket on a scripted stream.
pub type Socket = WebSocket<End, Alarm>;

/// An open WebSocket and what moves it. The stream's log begins behind the opening handshake.
#[derive(Debug)]
pub struct Scene {
    pub socket: Socket,
    pub grip: Grip,
    pub clock: Clock,
}

/// An open WebSocket in `role`.
pub fn open(role: Role, config: &Config) -> Scene {
    let ((end, grip), clock) = (stream(), Clock::new());
    let socket = match role {
        Role::Server => {
            grip.give(REQUEST);
            run(serve_on(end, &clock, config))
        }
        Role::Client => {
            let mut task = Task::new(connect_on(end, &clock, config));
            assert!(task.settle().is_pending());
            let mut server = Connection::server(&Config::new(), START);
            receive_accepting(&mut server, START, &grip.take());
            grip.give(take_output(&mut server));
            match task.settle() {
                Poll::Ready(socket) => socket,
                Poll::Pending => panic!("the response is there"),
            }
        }
    };
    grip.clear();
    Scene { socket, grip, clock }
}

/// Opens the server's end.
pub async fn serve_on(end: End, clock: &Clock, config: &Config) -> Socket {
    let incoming = Incoming::read(end, clock.alarm(), config).await.expect("a request");
    incoming.accept(Accept::new()).await.expect("a WebSocket")
}

/// Opens the client's end.
pub async fn connect_on(end: End, clock: &Clock, config: &Config) -> Socket {
    let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
    connect(end, clock.alarm(), config, &request, SEED).await.expect("a WebSocket").0
}
