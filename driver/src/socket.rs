//! The loop between a byte stream and a connection: reads, hands out events, writes, keeps time, ends.

use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, IoSlice};

use sansocket::{Cause, Connection, Disconnect, Event, Input, Instant, Message, State, Transport};

use crate::io::{Io, Timer};
use crate::pool;
use crate::unread::Unread;

/// After reading this much, in small portions less, a poll lets other tasks run.
const READ_PER_POLL: usize = 16 * pool::READ;

/// And after reading this much that may have to be inflated, which takes a hundred times as long, in however many calls.
const INFLATE_PER_POLL: usize = 8 * 1024;

/// After so many reads, with nothing in between but what was read, it is time to look at the time.
const READS_PER_LOOK: u8 = 16;

/// What is read of a handshake at a time. What comes behind it waits until the application has decided.
const OPENING_READ: usize = 8 * 1024;

/// The stream has this long to get rid of what it holds once the connection is over.
const LINGER: Duration = Duration::from_secs(5);

/// One write takes up to this many slices.
pub(crate) const SLICES: usize = 16;

/// A connection and its stream. All protocol state is in the connection, none in a future.
#[derive(Debug)]
pub(crate) struct Socket<I, T> {
    pub(crate) connection: Connection,
    io: I,
    timer: T,
    input: Unread,
    /// What was written may still be in a buffer of the stream's.
    unflushed: bool,
    shut: bool,
    eof: bool,
    /// Writing failed.
    broken: bool,
    /// Since the timers were looked at.
    reads: u8,
    /// It has read as much as a poll may.
    spent: bool,
    /// Bytes read since it last waited, in calls that are over, so far as they count.
    bytes: u16,
    /// Boxed, since few need it, and late.
    ending: Option<Box<Ending>>,
}

#[derive(Debug, Default)]
struct Ending {
    /// The connection is over, and the stream has until then to take what it was given.
    linger: Option<Instant>,
    error: Option<io::Error>,
}

impl<I: Io + Unpin, T: Timer> Socket<I, T> {
    pub(crate) fn new(io: I, timer: T, make: impl FnOnce(Instant) -> Connection) -> Self {
        let connection = make(timer.now());
        Self {
            connection,
            io,
            timer,
            input: Unread::default(),
            unflushed: false,
            shut: false,
            eof: false,
            broken: false,
            reads: 0,
            spent: false,
            bytes: 0,
            ending: None,
        }
    }

    /// Bytes that were read already.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        self.input = Unread::from(bytes);
    }

    pub(crate) fn now(&self) -> Instant {
        self.timer.now()
    }

    /// The stream, and what was read from it and not taken.
    pub(crate) fn into_io(mut self) -> (I, Vec<u8>) {
        let unread = self.input.bytes().to_vec();
        (self.io, unread)
    }

    pub(crate) fn io(&self) -> &I {
        &self.io
    }

    /// The error that ended the stream, once.
    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.ending.as_mut()?.error.take()
    }

    /// Hands events to `visit` until it breaks off, or the connection is over (`Ready(None)`).
    ///
    /// What `visit` queues is written once per read, not once per event; answers to control frames at the
    /// latest when this returns.
    pub(crate) fn poll_events<B>(
        &mut self,
        cx: &mut Context<'_>,
        patience: usize,
        mut visit: impl FnMut(&mut Connection, &mut dyn Through, Instant, Event<'_>) -> ControlFlow<B>,
    ) -> Poll<Option<B>> {
        let (mut read, mut bytes) = (0, usize::from(core::mem::take(&mut self.bytes)));
        let waited = self.input.len();
        self.spent = false;
        loop {
            if let ControlFlow::Break(value) = self.take_events(cx, patience, &mut visit) {
                self.bytes = bytes.try_into().unwrap_or(u16::MAX);
                return Poll::Ready(Some(value));
            }
            let _ = self.poll_write(cx);
            if self.poll_transport(cx).is_ready() {
                return Poll::Ready(None);
            }
            let reads_on = self.input.wants_more() && self.connection.wants_read() && !self.eof;
            // Before the timers: a peer whose bytes wait to be read is not silent.
            if reads_on {
                if read >= READ_PER_POLL || bytes >= INFLATE_PER_POLL && self.inflates() {
                    self.spent = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let before = self.input.len();
                match self.poll_read(cx, &mut visit) {
                    Poll::Ready(ControlFlow::Continue(())) => {
                        let n = self.input.len() - before;
                        (read, bytes) = (read + n.max(pool::READ), bytes + n);
                        self.count_read(n);
                        continue;
                    }
                    Poll::Ready(ControlFlow::Break(value)) => return Poll::Ready(Some(value)),
                    Poll::Pending => {}
                }
            }
            self.reads = 0;
            if self.poll_timers(cx) {
                continue;
            }
            // Enough of the output just went for input that waited for that to be taken.
            if !self.input.wants_more() && self.connection.wants_read() {
                continue;
            }
            self.input.shrink(waited);
            return Poll::Pending;
        }
    }

    /// Whether it is others' turn, as what was read may have taken its time.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent || self.inflates()
    }

    /// Whether what is read may have to be inflated.
    fn inflates(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.connection.agreed().is_some_and(|agreed| agreed.compression().is_some());
        #[cfg(not(feature = "deflate"))]
        false
    }

    fn count_read(&mut self, n: usize) {
        if n > 0 {
            self.reads += 1;
            if self.reads.is_multiple_of(READS_PER_LOOK) {
                self.look_at_the_time();
            }
        }
    }

    /// A peer that has always something more to say keeps nothing from being done in time. But what it said before it
    /// was late may still wait to be read, so as many reads are made again before that counts.
    #[cold]
    fn look_at_the_time(&mut self) {
        let now = self.timer.now();
        self.connection.heard(now);
        if self.connection.poll_timeout().is_none_or(|deadline| deadline.at > now) {
            self.reads = 0;
        } else if self.reads > READS_PER_LOOK {
            self.reads = 0;
            self.connection.handle_timeout(now);
        }
    }

    /// What has come and waits takes no more memory than that.
    pub(crate) fn shrink(&mut self) {
        self.input.shrink(0);
    }

    /// The next message, if it was read already, as a whole, and there is nothing else to do.
    pub(crate) fn take_message(&mut self) -> Option<Message<'static>> {
        if self.input.wants_more() {
            return None;
        }
        let timer = &self.timer;
        let mut input = Input::new(self.input.bytes());
        let message = self.connection.receive_message(|| timer.now(), &mut input).map(Message::into_owned);
        let left = input.remaining();
        if left == 0 {
            self.connection.heard(self.timer.now());
        }
        self.input.keep_last(left, 0);
        message
    }

    /// Writes all that is queued. `Err` tells that the connection is over instead.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Disconnect>> {
        loop {
            let written = self.poll_write(cx);
            if let Transport::Close(disconnect) = self.connection.transport() {
                return Poll::Ready(Err(disconnect.clone()));
            }
            if self.broken {
                return Poll::Ready(Err(Cause::Lost.into()));
            }
            match written {
                Poll::Ready(()) => return Poll::Ready(Ok(())),
                Poll::Pending if self.poll_timers_unread(cx) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// As [`poll_timers`](Self::poll_timers), for who does not receive: what has come meanwhile is read first, since
    /// a peer whose bytes wait is not silent.
    fn poll_timers_unread(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.connection.poll_timeout() else { return false };
        if self.timer.poll_at(cx, deadline.at).is_pending() {
            return false;
        }
        let before = self.input.len();
        if self.input.wants_more()
            && self.connection.wants_read()
            && !self.eof
            && self.poll_read(cx, &mut ignore::<()>).is_ready()
            && self.input.len() > before
        {
            self.connection.heard(self.timer.now());
            return true;
        }
        self.connection.handle_timeout(self.timer.now());
        true
    }

    /// Writes until less than `most` bytes are queued.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), Disconnect>> {
        if self.has_room(most) {
            return Poll::Ready(Ok(()));
        }
        match self.poll_flush(cx) {
            Poll::Pending if self.connection.buffered() < most => Poll::Ready(Ok(())),
            other => other,
        }
    }

    /// Whether less than `most` bytes are queued.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.connection.buffered() < most && !self.broken
    }

    /// Whether some of what was queued never left, or may not have.
    pub(crate) fn has_lost_output(&self) -> bool {
        self.broken || self.unflushed || self.connection.has_dropped()
    }

    /// Lets `work` have the connection, with what it may need of memory.
    pub(crate) fn work<R>(&mut self, work: impl FnOnce(&mut Connection) -> R) -> R {
        self.lend();
        let result = work(&mut self.connection);
        self.reclaim_codecs();
        result
    }

    /// Lends the connection a block for its output, if one is there for it, and codecs, if it compresses.
    fn lend(&mut self) {
        if self.connection.wants_output()
            && let Some(block) = pool::take_output()
            && let Some(block) = self.connection.lend_output(block)
        {
            pool::give_output(block);
        }
        #[cfg(feature = "deflate")]
        if self.connection.wants_codecs() {
            let _ = self.connection.lend_codecs(pool::take_codecs());
        }
    }

    fn reclaim_codecs(&mut self) {
        #[cfg(feature = "deflate")]
        if let Some(codecs) = self.connection.reclaim_codecs() {
            pool::give_codecs(codecs);
        }
    }

    fn take_events<B>(
        &mut self,
        cx: &mut Context<'_>,
        patience: usize,
        visit: &mut impl FnMut(&mut Connection, &mut dyn Through, Instant, Event<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.input.wants_more() {
            return ControlFlow::Continue(());
        }
        self.lend();
        let now = self.timer.now();
        let lender = &mut pool::take_message;
        let mut input = Input::new(self.input.bytes()).with_memory(lender).with_patience(patience);
        let mut stream = Stream { io: &mut self.io, cx, written: false, error: None };
        let mut flow = ControlFlow::Continue(());
        let mut answered = false;
        while flow.is_continue() {
            let Some(event) = self.connection.receive(now, &mut input) else { break };
            answered |= matches!(event, Event::Ping(_) | Event::Close(_));
            flow = visit(&mut self.connection, &mut stream, now, event);
        }
        self.unflushed |= stream.written;
        let failed = stream.error;
        let (left, missing) = (input.remaining(), input.missing());
        self.input.keep_last(left, missing);
        self.reclaim_codecs();
        if let Some(error) = failed {
            self.write_failed(error);
        }
        if answered && flow.is_break() {
            // The caller may be long in coming back.
            let _ = self.poll_write(cx);
        }
        flow
    }

    fn poll_read<B>(
        &mut self,
        cx: &mut Context<'_>,
        visit: &mut impl FnMut(&mut Connection, &mut dyn Through, Instant, Event<'_>) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut space = self.input.space();
        if self.connection.state() == State::Connecting && space.len() > OPENING_READ {
            space = &mut space[..OPENING_READ];
        }
        let read = Pin::new(&mut self.io).poll_read(cx, space);
        if let Poll::Ready(Ok(n @ 1..)) = read {
            self.input.filled(n);
            if self.input.wants_more() {
                // The connection is not shown them before there are more.
                self.connection.heard(self.timer.now());
            }
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.input.release();
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => self.ending.get_or_insert_default().error = Some(error),
        }
        self.eof = true;
        let now = self.timer.now();
        let event = self.connection.receive_eof();
        Poll::Ready(event.map_or(ControlFlow::Continue(()), |event| {
            visit(&mut self.connection, &mut NoStream, now, event)
        }))
    }

    /// Ready when nothing is left to write, or it cannot be.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let transmit = self.connection.transmit();
            if transmit.is_empty() {
                break;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            match Pin::new(&mut self.io).poll_write(cx, transmit.io_slices(&mut slices)) {
                Poll::Ready(Ok(0)) => self.write_failed(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    let mut memory = Vec::new();
                    self.connection.transmitted_with(n, &mut memory);
                    if memory.capacity() > 0 {
                        pool::give_message(memory);
                    }
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => self.write_failed(error),
                Poll::Pending => return Poll::Pending,
            }
        }
        if let Some(block) = self.connection.reclaim_output() {
            pool::give_output(block);
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.write_failed(error),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    fn write_failed(&mut self, error: io::Error) {
        self.ending.get_or_insert_default().error.get_or_insert(error);
        self.broken = true;
        self.unflushed = false;
        // What has come from the peer is still received: it may have said all that it had to say before it
        // went.
        self.connection.write_failed(self.timer.now());
    }

    /// Does what the connection wants done with the stream; ready once it is over.
    fn poll_transport(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = match self.connection.transport() {
            Transport::Open => return Poll::Pending,
            Transport::ShutdownWrite => false,
            Transport::Close(_) => true,
        };
        if !self.shut && !self.unflushed {
            // An error tells that the stream is gone already.
            self.shut = Pin::new(&mut self.io).poll_shutdown(cx).is_ready();
        }
        if !over {
            return Poll::Pending;
        }
        if self.shut {
            return Poll::Ready(());
        }
        let now = self.timer.now();
        let deadline = *self.ending.get_or_insert_default().linger.get_or_insert(now + LINGER);
        self.timer.poll_at(cx, deadline)
    }

    /// Whether a timer was due.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.connection.poll_timeout() else { return false };
        let due = self.timer.poll_at(cx, deadline.at).is_ready();
        if due {
            self.connection.handle_timeout(self.timer.now());
        }
        due
    }
}

/// For who does not want events.
pub(crate) fn ignore<B>(_: &mut Connection, _: &mut dyn Through, _: Instant, _: Event<'_>) -> ControlFlow<B> {
    ControlFlow::Continue(())
}

/// A way to the stream for who has a long payload at hand, so that it need not be queued.
pub(crate) trait Through {
    /// Writes what the stream takes at once. An error is kept for later.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> usize;
}

struct Stream<'s, 'c, I> {
    io: &'s mut I,
    cx: &'s mut Context<'c>,
    written: bool,
    error: Option<io::Error>,
}

impl<I: Io + Unpin> Through for Stream<'_, '_, I> {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> usize {
        if self.error.is_some() {
            return 0;
        }
        match Pin::new(&mut *self.io).poll_write(self.cx, slices) {
            Poll::Ready(Ok(0)) => self.error = Some(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => {
                self.written = true;
                return n.min(slices.iter().map(|slice| slice.len()).sum());
            }
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::Interrupted => self.error = Some(error),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        0
    }
}

/// Everything is queued.
pub(crate) struct NoStream;

impl Through for NoStream {
    fn write(&mut self, _: &[IoSlice<'_>]) -> usize {
        0
    }
}
