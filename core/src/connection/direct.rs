//! Sending what is written at once, so that it need not be queued.

use alloc::borrow::Cow;
use core::iter;

use super::Connection;
use super::send::opcode;
use crate::error::SendError;
use crate::message::Message;
use crate::outbox::{CHAIN, Head};

impl Connection {
    /// Sends a message as [`send`](Self::send) does, for who can write at once: a long borrowed payload is shown where it
    /// is, behind all that is queued. What of it is not written then is copied, and queued.
    ///
    /// Of use from 16 KiB on. Everything else is queued right away: short payloads, owned ones, and those that are
    /// compressed, masked, fragmented, or must wait for fragments.
    ///
    /// # Errors
    /// [`SendError`]; the message is dropped then.
    #[inline]
    pub fn send_direct<'a>(&'a mut self, message: impl Into<Message<'a>>) -> Result<Direct<'a>, SendError> {
        self.check_send()?;
        let message = message.into();
        if message.len() < CHAIN {
            self.queue_message(message);
            return Ok(Direct { connection: self, payload: &[] });
        }
        Ok(self.show(message))
    }

    fn show<'a>(&'a mut self, message: Message<'a>) -> Direct<'a> {
        let kind = message.kind();
        let payload = match message {
            Message::Text(Cow::Borrowed(text)) if self.is_direct(&message) => text.as_bytes(),
            Message::Binary(Cow::Borrowed(bytes)) if self.is_direct(&message) => bytes,
            message @ (Message::Text(_) | Message::Binary(_)) => {
                self.queue_message(message);
                return Direct { connection: self, payload: &[] };
            }
        };
        self.count_queued(payload.len(), true);
        self.outbox.head(Head::new(opcode(kind)), payload.len(), None);
        Direct { connection: self, payload }
    }

    fn is_direct(&mut self, message: &Message<'_>) -> bool {
        let len = message.len();
        #[cfg(feature = "deflate")]
        if self.extras.is_some() && self.wants_compressed(message.kind(), len) {
            return false;
        }
        self.keys.is_none() && len <= self.options.longest_frame() && self.outbox.is_all_ready()
    }
}

/// What is to be written, a message that is not queued at its end: [`Connection::send_direct`].
///
/// Dropped, it is as if nothing had been written.
#[derive(Debug)]
#[must_use]
pub struct Direct<'a> {
    connection: &'a mut Connection,
    payload: &'a [u8],
}

impl Direct<'_> {
    /// Whether the message is not queued, so that it pays to write now.
    pub fn is_direct(&self) -> bool {
        !self.payload.is_empty()
    }

    /// The slices, none of them empty: all that is queued, and the message behind it.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let payload = iter::once(self.payload).filter(|payload| !payload.is_empty());
        self.connection.transmit().slices().chain(payload)
    }

    /// As many of the slices as `slots` has room for, for a vectored write.
    #[cfg(feature = "std")]
    pub fn io_slices<'d, 's>(
        &'d self,
        slots: &'s mut [std::io::IoSlice<'d>],
    ) -> &'s mut [std::io::IoSlice<'d>] {
        crate::outbox::fill(slots, self.slices())
    }

    /// The first `n` bytes of the slices have been written.
    pub fn written(mut self, n: usize) {
        self.settle(n);
    }

    fn settle(&mut self, n: usize) {
        let queued = n.min(self.connection.outbox.ready());
        let beyond = (n - queued).min(self.payload.len());
        // Before the queue is told, which may put something behind itself.
        self.connection.outbox.raw(&self.payload[beyond..]);
        self.payload = &[];
        self.connection.passed(beyond);
        self.connection.transmitted(queued);
    }
}

impl Drop for Direct<'_> {
    fn drop(&mut self) {
        if self.is_direct() {
            self.settle(0);
        }
    }
}
