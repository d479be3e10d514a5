//! What of a connection is compressed, and how: the settings.

use crate::deflate::{Params, Strategy};
use crate::extension::{Settings, WindowBits};

/// Compression of messages: permessage-deflate (RFC 7692) and its forerunners, by
/// [`Config::compression`](crate::Config::compression).
///
/// It costs processor time, and memory for as long as contexts are kept from message to message, some hundred
/// kilobytes a connection (the table is in the README). [`Compression::shared`] keeps nothing.
///
/// Do not compress secrets together with what an attacker can choose: the length tells whether they are alike
/// (CRIME, BREACH). [`Connection::send_plain`](crate::Connection::send_plain) is for those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    pub(crate) settings: Settings,
    pub(crate) params: Params,
    pub(crate) policy: Policy,
    pub(crate) fragments: DeflateFrameFragments,
}

/// Which messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) min_size: usize,
    pub(crate) text: bool,
    pub(crate) binary: bool,
}

/// How messages in fragments are read under `x-webkit-deflate-frame` and `deflate-frame`.
///
/// The extension compresses each frame for itself, and that is how WebKit speaks it; Cowboy compresses
/// messages under the same name, as permessage-deflate does. A message in one frame is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeflateFrameFragments {
    /// Found out from the first compressed fragment that is not its message's last. That takes a decompressor that
    /// can be copied: miniz_oxide's, with the feature `zlib-rs` too.
    #[default]
    Auto,
    /// Each frame is compressed for itself, or not.
    PerFrame,
    /// The message is compressed, or not, whatever its further frames say.
    PerMessage,
}

impl Compression {
    /// The defaults: contexts are kept, windows are 32 KiB.
    pub const fn new() -> Self {
        Self {
            settings: Settings::new(),
            params: Params::new(),
            policy: Policy { min_size: 64, text: true, binary: true },
            fragments: DeflateFrameFragments::Auto,
        }
    }

    /// Each message for itself, in both directions: an idle connection holds no codec, and all connections of
    /// an event loop take turns with a few. It compresses less, the smaller the messages the more so.
    pub const fn shared() -> Self {
        Self::new().server_no_context_takeover(true).client_no_context_takeover(true)
    }

    /// Contexts are kept, in windows of this size. With zlib-rs 12 bits take half the memory, and 9 a little
    /// less; with miniz_oxide it makes little difference.
    pub const fn dedicated(window: WindowBits) -> Self {
        let mem_level = window.get() - 7;
        Self::new().server_max_window_bits(window).client_max_window_bits(window).mem_level(mem_level)
    }

    /// Whether the server must begin each message anew (RFC 7692 §7.1.1.1): less memory, at a lower ratio.
    ///
    /// Not.
    pub const fn server_no_context_takeover(mut self, on: bool) -> Self {
        self.settings = self.settings.server_no_context_takeover(on);
        self
    }

    /// Whether the client must begin each message anew (§7.1.1.2).
    ///
    /// Not.
    pub const fn client_no_context_takeover(mut self, on: bool) -> Self {
        self.settings = self.settings.client_no_context_takeover(on);
        self
    }

    /// The largest window that the server may compress with (§7.1.2.1).
    ///
    /// 15 bits.
    pub const fn server_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.settings = self.settings.server_max_window_bits(bits);
        self
    }

    /// The largest window that the client may compress with (§7.1.2.2). A server declines clients that cannot
    /// be told so.
    ///
    /// 15 bits.
    pub const fn client_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.settings = self.settings.client_max_window_bits(bits);
        self
    }

    /// Whether a server accepts `x-webkit-deflate-frame` and `deflate-frame`, the forerunners of
    /// permessage-deflate.
    ///
    /// It does: Safari up to 14 knows nothing else. With the feature `zlib-rs` it does not: while it is not known
    /// [how to read fragments](Self::deflate_frame_fragments), all that comes is inflated by miniz_oxide, and a client
    /// that wants to make work could choose that. If this is switched on there, `PerFrame`, which is what Safari means,
    /// is inflated by zlib-rs.
    pub const fn accept_deflate_frame(mut self, on: bool) -> Self {
        self.settings = self.settings.accept_deflate_frame(on);
        self
    }

    /// Whether a client offers `x-webkit-deflate-frame` and `deflate-frame` behind permessage-deflate.
    ///
    /// It does not: servers that know nothing else are rare, and gateways that fail on several offers are not.
    pub const fn offer_deflate_frame(mut self, on: bool) -> Self {
        self.settings = self.settings.offer_deflate_frame(on);
        self
    }

    /// How messages in fragments are read under `x-webkit-deflate-frame` and `deflate-frame`.
    ///
    /// Found out. None are sent compressed, since only the receiver knows how it reads them.
    pub const fn deflate_frame_fragments(mut self, fragments: DeflateFrameFragments) -> Self {
        self.fragments = fragments;
        self
    }

    /// How hard to try, from 0, not at all, over 1, fast, to 9, small.
    ///
    /// 6, as everywhere. A server that is short of processor time takes 1.
    pub const fn level(mut self, level: u8) -> Self {
        self.params = self.params.level(level);
        self
    }

    /// How much memory the compressor takes beside its window, from 1 to 9: a hint, see
    /// [`deflate`](crate::deflate).
    ///
    /// 8, as everywhere.
    pub const fn mem_level(mut self, level: u8) -> Self {
        self.params = self.params.mem_level(level);
        self
    }

    /// What the compressor looks for.
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.params = self.params.strategy(strategy);
        self
    }

    /// The shortest message that is compressed, in bytes; those sent in pieces are, whatever their length.
    ///
    /// 64: below that there is little to gain, and nothing on the wire between two segments.
    pub const fn min_size(mut self, bytes: usize) -> Self {
        self.policy.min_size = bytes;
        self
    }

    /// Whether text is compressed. It is.
    pub const fn text(mut self, on: bool) -> Self {
        self.policy.text = on;
        self
    }

    /// Whether binary messages are compressed. They are; a program whose binary messages are pictures or
    /// sound, which are compressed already, turns it off.
    pub const fn binary(mut self, on: bool) -> Self {
        self.policy.binary = on;
        self
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}
