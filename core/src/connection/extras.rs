//! What many connections do without: in one box, since an idle connection's size is what counts.

use alloc::boxed::Box;

use super::Connection;
#[cfg(feature = "deflate")]
use super::codec::Codec;
use crate::event::Event;
use crate::frame::Input;
use crate::handshake::Agreed;
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Extras {
    pub(super) agreed: Agreed,
    stats: Option<Box<Stats>>,
    #[cfg(feature = "deflate")]
    pub(super) codec: Option<Codec>,
}

/// What has gone over a connection since its opening handshake ([`Config::stats`](crate::Config::stats)).
///
/// Bytes of messages beside bytes of the stream tell what compression saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that came, complete.
    pub messages_received: u64,
    /// Their payloads' bytes; those of pieces ([`Delivery::Streaming`](crate::Delivery::Streaming)) as they come.
    pub payload_received: u64,
    /// Bytes of the stream that came, with frame headers and control frames.
    pub bytes_received: u64,
    /// Messages that were queued, complete.
    pub messages_sent: u64,
    /// Their payloads' bytes; those of pieces as they are queued.
    pub payload_sent: u64,
    /// Bytes of the stream that were written.
    pub bytes_sent: u64,
}

impl Extras {
    /// If there is anything that takes them.
    pub(super) fn new(agreed: Agreed, count: bool) -> Option<Box<Self>> {
        let stats = count.then(Box::default);
        (stats.is_some() || agreed != Agreed::new()).then(|| {
            Box::new(Self {
                agreed,
                stats,
                #[cfg(feature = "deflate")]
                codec: None,
            })
        })
    }
}

/// Counting.
impl Connection {
    /// What has gone over the connection, if that is counted.
    pub fn stats(&self) -> Option<&Stats> {
        self.extras.as_ref()?.stats.as_deref()
    }

    /// Apart, so that a connection without any has none of it in its way.
    #[cold]
    pub(super) fn receive_with_extras<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Option<Event<'b>> {
        let offered = input.remaining();
        #[cfg(feature = "deflate")]
        let event = match Codec::of(&mut self.extras) {
            Some(_) => self.receive_frames::<true>(now, input),
            None => self.receive_frames::<false>(now, input),
        };
        #[cfg(not(feature = "deflate"))]
        let event = self.receive_frames::<false>(now, input);
        if let Some(stats) = self.stats_mut() {
            stats.bytes_received += (offered - input.remaining()) as u64;
            match &event {
                Some(Event::Message(message)) => {
                    stats.messages_received += 1;
                    stats.payload_received += message.len() as u64;
                }
                Some(Event::Data(data)) => {
                    stats.messages_received += u64::from(data.last);
                    stats.payload_received += data.payload.len() as u64;
                }
                _ => {}
            }
        }
        event
    }

    /// A message is queued, or a piece of one.
    #[inline]
    pub(super) fn count_queued(&mut self, payload: usize, complete: bool) {
        let Some(stats) = self.stats_mut() else { return };
        stats.messages_sent += u64::from(complete);
        stats.payload_sent += payload as u64;
    }

    #[cold]
    pub(super) fn count_written(&mut self, bytes: usize) {
        let Some(stats) = self.stats_mut() else { return };
        stats.bytes_sent += bytes as u64;
    }

    fn stats_mut(&mut self) -> Option<&mut Stats> {
        self.extras.as_mut()?.stats.as_deref_mut()
    }
}
