//! Settings and limits, each with its default and the reason for it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::time::Span;

/// How a connection behaves. `Config::new()` is safe to use as it is.
///
/// Setters take and return the value, and most are `const`, so that a program can say
/// `const CONFIG: Config = Config::new().max_message(8 << 20);`.
///
/// | setting | default | over it |
/// |---|---|---|
/// | [`max_head`](Self::max_head) | 16 KiB | 431, or the client gives up |
/// | [`max_headers`](Self::max_headers) | 100 | 431, or the client gives up |
/// | [`max_frame`](Self::max_frame) | that of the message | Close 1009 |
/// | [`max_message`](Self::max_message) | 1 MiB | Close 1009 |
/// | [`max_fragments`](Self::max_fragments) | 16,384 | Close 1008 |
/// | [`high_water`](Self::high_water) | 64 KiB | input waits |
/// | [`hard_limit`](Self::hard_limit) | 1 MiB | [`SendError::Full`](crate::SendError::Full) |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s | 408 if a part of the head came, or the client gives up |
/// | [`idle_timeout`](Self::idle_timeout) | 60 s | Close 1000 |
/// | [`pong_timeout`](Self::pong_timeout) | none | Close 1011 |
/// | [`close_timeout`](Self::close_timeout) | 5 s | the transport is closed |
///
/// Fixed: 64 KiB are kept of the body of a response that rejects a client, and 8 interim responses are let
/// pass; while 4 KiB of output wait (16 KiB, if fragments do), only the newest Ping is answered.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) options: Options,
    pub(crate) max_head: usize,
    pub(crate) max_headers: usize,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) origins: Origins,
    /// All, if there is no list.
    pub(crate) hosts: Option<Arc<[String]>>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Option<Compression>,
}

/// What of the settings is of use once the connection is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
    pub(crate) max_fragments: u32,
    pub(crate) high_water: usize,
    pub(crate) hard_limit: usize,
    pub(crate) auto_fragment: Option<NonZeroUsize>,
    pub(crate) delivery: Delivery,
    pub(crate) auto_pong: bool,
    pub(crate) count: bool,
    pub(crate) idle_timeout: Span,
    pub(crate) ping: Ping,
    pub(crate) ping_interval: Span,
    pub(crate) pong_timeout: Span,
    pub(crate) close_timeout: Span,
}

impl Options {
    /// The longest frame that a message is sent in.
    #[inline]
    pub(crate) fn longest_frame(&self) -> usize {
        self.auto_fragment.map_or(usize::MAX, NonZeroUsize::get)
    }
}

/// Shorter than any round trip that is worth measuring.
const MIN_INTERVAL: Span = Span::new(Duration::from_millis(1));

/// What the ping interval is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ping {
    HalfIdle,
    Silence,
    Period,
}

/// How received messages are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// As a whole: [`Event::Message`](crate::Event::Message).
    #[default]
    Whole,
    /// In pieces, as they arrive: [`Event::Data`](crate::Event::Data). Nothing is held back, so that
    /// [`Config::max_message`] may be large and costs no memory.
    Streaming,
}

/// When the connection sends a Ping of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keepalive {
    /// After half the idle timeout without a byte from the peer; never if there is no idle timeout.
    #[default]
    HalfIdle,
    /// After this time without a byte from the peer.
    AfterSilence(Duration),
    /// Every so often, whatever else arrives, so that [`latency`](crate::Connection::latency) stays fresh.
    Every(Duration),
    /// Never.
    Off,
}

/// Which pages may connect: what a server checks the `Origin` header against (RFC 6455 §10.2).
///
/// Browsers send the header, other clients do not; a request without it always passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages from the host and port that the request is for (its `Host`, or the host that a proxy forwarded
    /// for it). Ports do not matter between loopback names, so that a development server works.
    #[default]
    SameHost,
    /// Pages from anywhere. With cookies as credentials this lets any site act as the user (cross-site
    /// WebSocket hijacking).
    Any,
    /// Pages from these origins, as browsers write them: `https://example.com`, `http://example.com:8080`; no
    /// slash at the end, and no port that is the scheme's own.
    Listed(Arc<[String]>),
}

impl Origins {
    /// Pages from these origins only.
    pub fn listed<S: Into<String>>(origins: impl IntoIterator<Item = S>) -> Self {
        Self::Listed(origins.into_iter().map(Into::into).collect::<Vec<_>>().into())
    }
}

impl Config {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            options: Options {
                max_frame: u64::MAX,
                max_message: 1 << 20,
                max_fragments: 16_384,
                high_water: 64 << 10,
                hard_limit: 1 << 20,
                auto_fragment: None,
                delivery: Delivery::Whole,
                auto_pong: true,
                count: false,
                idle_timeout: Span::new(Duration::from_secs(60)),
                ping: Ping::HalfIdle,
                ping_interval: Span::NONE,
                pong_timeout: Span::NONE,
                close_timeout: Span::new(Duration::from_secs(5)),
            },
            max_head: 16 << 10,
            max_headers: 100,
            handshake_timeout: Some(Duration::from_secs(10)),
            origins: Origins::SameHost,
            hosts: None,
            #[cfg(feature = "deflate")]
            compression: None,
        }
    }

    /// The longest message that is received, in bytes; of a compressed one, what it inflates to.
    ///
    /// 1 MiB: what a message can make the receiver hold. Chat and control messages are far below, uploads set
    /// their own.
    pub const fn max_message(mut self, bytes: u64) -> Self {
        self.options.max_message = bytes;
        self
    }

    /// The longest frame that is received, in bytes, if it is to be shorter than the longest message.
    ///
    /// No limit of its own: a frame is never longer than its message may be, or, if that is compressed, than
    /// twice that and 1 KiB.
    pub const fn max_frame(mut self, bytes: u64) -> Self {
        self.options.max_frame = bytes;
        self
    }

    /// The most fragments that a message may come in, empty ones counted.
    ///
    /// 16,384: no sender needs more, and each costs work that its bytes do not account for. Zero is taken as one:
    /// a message is one frame at least.
    pub const fn max_fragments(mut self, fragments: u32) -> Self {
        self.options.max_fragments = if fragments == 0 { 1 } else { fragments };
        self
    }

    /// How many bytes of output may be queued before [`receive`](crate::Connection::receive) waits for them
    /// to be written.
    ///
    /// 64 KiB, a socket buffer or so: a peer that sends and does not read is made to wait. That goes for its
    /// Close too, so one that never reads is left to the idle timeout. While fragments wait
    /// ([`auto_fragment`](Self::auto_fragment)), they count for messages but not for control frames. Zero is
    /// taken as one byte.
    pub const fn high_water(mut self, bytes: usize) -> Self {
        self.options.high_water = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// How many bytes of output may be queued before further messages are refused.
    ///
    /// 1 MiB. A message is refused only if what is queued *before* it has reached the limit, so one message
    /// may be larger. Zero is taken as one byte, and more than a quarter of `usize::MAX` as that quarter.
    pub const fn hard_limit(mut self, bytes: usize) -> Self {
        // A payload that is shared counts each time that it is queued. No message is longer than half of what
        // `usize` counts, so that with the one that goes beyond the limit the sum is still right.
        const MOST: usize = usize::MAX / 4;
        self.options.hard_limit = match bytes {
            0 => 1,
            1..=MOST => bytes,
            _ => MOST,
        };
        self
    }

    /// Sends messages longer than this in frames of this many bytes, between which control frames can go out.
    ///
    /// Off (`None`): a big frame costs less, and some peers handle fragments badly. Useful where one
    /// connection carries messages that take seconds, and Pongs must not wait that long. Zero is taken as one
    /// byte.
    pub const fn auto_fragment(mut self, bytes: Option<usize>) -> Self {
        self.options.auto_fragment = match bytes {
            None => None,
            Some(bytes) => match NonZeroUsize::new(bytes) {
                None => Some(NonZeroUsize::MIN),
                some => some,
            },
        };
        self
    }

    /// Whether messages are handed out whole (the default) or in pieces as they arrive.
    pub const fn delivery(mut self, delivery: Delivery) -> Self {
        self.options.delivery = delivery;
        self
    }

    /// Whether a Ping is answered without being asked to (the default, §5.5.2). If not, answer
    /// [`Event::Ping`](crate::Event::Ping) with [`pong`](crate::Connection::pong).
    pub const fn auto_pong(mut self, on: bool) -> Self {
        self.options.auto_pong = on;
        self
    }

    /// Whether to count what goes over the connection, for [`Connection::stats`](crate::Connection::stats). Off by
    /// default: it takes an allocation a connection. Not to be switched on later.
    pub const fn stats(mut self, on: bool) -> Self {
        self.options.count = on;
        self
    }

    /// How long the peer may be silent before the connection is closed.
    ///
    /// 60 s, as Cowboy has it. Any byte counts; what is sent does not. While input waits for output to be
    /// written ([`high_water`](Self::high_water)), a peer that reads 4 KiB or more of it in this time is
    /// given the time again.
    pub const fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.idle_timeout = Span::or_none(timeout);
        self
    }

    /// When to send a Ping.
    ///
    /// At half the idle timeout (and never more often than every millisecond): a browser cannot ping, so an
    /// idle timeout alone would cut off a quiet tab.
    pub const fn keepalive(mut self, keepalive: Keepalive) -> Self {
        (self.options.ping, self.options.ping_interval) = match keepalive {
            Keepalive::HalfIdle => (Ping::HalfIdle, Span::NONE),
            Keepalive::AfterSilence(silence) => (Ping::Silence, Span::new(silence).at_least(MIN_INTERVAL)),
            Keepalive::Every(period) => (Ping::Period, Span::new(period).at_least(MIN_INTERVAL)),
            Keepalive::Off => (Ping::Silence, Span::NONE),
        };
        self
    }

    /// How long the Pong for a Ping of our own may take, whatever else arrives. A peer that meanwhile reads 4
    /// KiB or more of output that input waits for is given that time again.
    ///
    /// None: the idle timeout already finds a dead peer, and a live one may be busy sending us a large
    /// message first.
    pub const fn pong_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.pong_timeout = Span::or_none(timeout);
        self
    }

    /// How long the peer may take to answer our Close, and to close its end of the transport.
    ///
    /// 5 s for each of the two: it has nothing left to do but that. As long as it reads what was sent before,
    /// at 4 KiB in this time or more, it is given that time again.
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.close_timeout = Span::new(timeout);
        self
    }

    /// How long the peer may take over its part of the opening handshake. The time that the application takes
    /// to answer [`Event::Request`](crate::Event::Request) does not count.
    ///
    /// 10 s. Applies to new connections only.
    pub const fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// The longest HTTP head, in bytes, of a request or a response.
    ///
    /// 16 KiB, with room for cookies and tokens. Applies to new connections only.
    pub const fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// The most header lines in an HTTP head.
    ///
    /// 100. Applies to new connections only.
    pub const fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }

    /// Which pages may connect to a server.
    ///
    /// Same host: safe where cookies are credentials. Applies to new connections only.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The hosts that a server goes by: a request whose `Host` is none of them is refused, 403.
    ///
    /// Any: a server need not know its names. One that trusts whoever can reach it, on a loopback address or in
    /// a network of its own, should: a page can have its own name lead there (DNS rebinding), and is of the same
    /// host then. A host that is listed without a port stands for all ports. Behind a proxy it is what that
    /// sends as `Host`. Applies to new connections only.
    pub fn hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Whether messages may be compressed: whether a server accepts that, and a client offers it.
    ///
    /// Off (`None`): it costs processor time and memory, and is not for secrets; see [`Compression`]. Applies
    /// to new connections; one that has agreed to compress takes from here which messages, and how hard.
    #[cfg(feature = "deflate")]
    pub const fn compression(mut self, compression: Option<Compression>) -> Self {
        self.compression = compression;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The silence after which to ping, or the period of pings.
    pub(crate) const fn keepalive_interval(&self) -> Span {
        match self.ping {
            Ping::HalfIdle => self.idle_timeout.half().at_least(MIN_INTERVAL),
            Ping::Silence | Ping::Period => self.ping_interval,
        }
    }
}
