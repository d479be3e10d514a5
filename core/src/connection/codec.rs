//! The compression of one connection: its codecs, and what they are in the middle of (RFC 7692 §6).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Role;
use super::extras::Extras;
use crate::compression::{Compression, DeflateFrameFragments, Policy};
use crate::deflate::{Deflater, Inflater, Params, Pool};
use crate::error::ProtocolError;
use crate::extension::{Extension, Negotiated, WindowBits};
use crate::frame::{Header, Opcode, Rsv1};
use crate::message::Kind;

/// What hangs off a connection that has agreed to compress.
#[derive(Debug)]
pub(super) struct Codec {
    pub(super) deflating: Deflating,
    pub(super) inflating: Inflating,
    /// Lent for the time that the connection is worked on.
    pub(super) pool: Option<Box<Pool>>,
}

/// The direction out.
#[derive(Debug)]
pub(super) struct Deflating {
    params: Params,
    policy: Policy,
    on: bool,
    takeover: bool,
    /// Messages in fragments can be sent compressed.
    pub(super) fragments: bool,
    deflater: Option<Deflater>,
}

/// The direction in.
#[derive(Debug)]
pub(super) struct Inflating {
    window: WindowBits,
    takeover: bool,
    extension: Extension,
    fragments: DeflateFrameFragments,
    inflater: Option<Inflater>,
    /// Whether the message's first frame was compressed.
    message: bool,
    /// Compressed bytes of the message.
    wire: u64,
    /// One byte at the front of the input has been inflated already: it stays there as long as there is
    /// output that nobody has seen.
    pub(super) ahead: bool,
}

impl Codec {
    /// The compression, if there is one.
    pub(super) fn of(extras: &mut Option<Box<Extras>>) -> Option<&mut Self> {
        extras.as_deref_mut().and_then(|extras| extras.codec.as_mut())
    }

    pub(super) fn new(role: Role, agreed: &Negotiated, config: &Compression) -> Self {
        let server = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
        let client = (agreed.client_max_window_bits, !agreed.client_no_context_takeover);
        let ((window_out, takeover_out), (window_in, takeover_in)) = match role {
            Role::Server => (server, client),
            Role::Client => (client, server),
        };
        let per_message = agreed.extension == Extension::PermessageDeflate;
        Self {
            deflating: Deflating {
                params: config.params.window(window_out),
                policy: config.policy,
                on: true,
                takeover: takeover_out,
                fragments: per_message,
                deflater: None,
            },
            inflating: Inflating {
                // Cowboy answers the forerunners without looking at their parameters.
                window: if per_message { window_in } else { WindowBits::MAX },
                takeover: takeover_in,
                extension: agreed.extension,
                fragments: match per_message {
                    true => DeflateFrameFragments::PerMessage,
                    false => config.fragments,
                },
                inflater: None,
                message: false,
                wire: 0,
                ahead: false,
            },
            pool: None,
        }
    }

    /// Where RSV1 may be set.
    pub(super) fn rsv1(&self) -> Rsv1 {
        match self.inflating.extension {
            Extension::PermessageDeflate => Rsv1::FirstFrame,
            Extension::XWebkitDeflateFrame | Extension::DeflateFrame => Rsv1::AnyFrame,
        }
    }

    /// Other settings, so far as they were not agreed upon.
    pub(super) fn configure(&mut self, config: &Compression) {
        self.deflating.policy = config.policy;
        let params = config.params.window(self.deflating.params.window_bits());
        // A new compressor refers to nothing, which is always allowed.
        if core::mem::replace(&mut self.deflating.params, params) != params {
            self.deflating.deflater = None;
        }
    }

    /// Gives the compressor up: a new one refers to nothing, which is always allowed. The decompressor must
    /// stay, since the peer may refer to what it has seen.
    pub(super) fn release_memory(&mut self) {
        self.deflating.deflater = None;
    }

    /// Nothing is sent or received any more.
    pub(super) fn clear(&mut self) {
        self.deflating.deflater = None;
        self.inflating.inflater = None;
    }
}

/// Sending.
impl Codec {
    pub(super) fn set_on(&mut self, on: bool) {
        self.deflating.on = on;
    }

    /// Whether a message of this kind and length is compressed; before anything is, since the peer must see
    /// all that the compressor does.
    pub(super) fn wants(&self, kind: Kind, len: Option<usize>) -> bool {
        let Deflating { policy, on, .. } = &self.deflating;
        let of_kind = match kind {
            Kind::Text => policy.text,
            Kind::Binary => policy.binary,
        };
        *on && of_kind && len.is_none_or(|len| len >= policy.min_size)
    }

    /// Compresses a message, or the next piece of one, into a buffer that
    /// [`give_back`](Self::give_back) takes.
    pub(super) fn deflate(&mut self, bytes: &[u8], fin: bool) -> Vec<u8> {
        let mut out = self.pool.as_mut().map(|pool| pool.take_buffer()).unwrap_or_default();
        let Deflating { params, takeover, deflater, .. } = &mut self.deflating;
        let mut codec = deflater.take().unwrap_or_else(|| match &mut self.pool {
            Some(pool) => pool.deflater(params),
            None => Deflater::new(params),
        });
        match fin {
            true => codec.finish(bytes, &mut out),
            false => codec.piece(bytes, &mut out),
        }
        if *takeover || !fin {
            *deflater = Some(codec);
        } else if let Some(pool) = &mut self.pool {
            pool.put_deflater(codec);
        }
        out
    }

    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        if let Some(pool) = &mut self.pool {
            pool.put_buffer(buffer);
        }
    }
}

impl Deflating {
    /// The window, if each message stands for itself.
    pub(super) fn window_without_context(&self) -> Option<WindowBits> {
        (!self.takeover).then_some(self.params.window_bits())
    }
}

/// Receiving.
impl Codec {
    /// A data frame begins; says whether it is compressed.
    pub(super) fn begin_frame(&mut self, rsv1: bool, first: bool) -> bool {
        let inflating = &mut self.inflating;
        if first {
            inflating.message = rsv1;
            inflating.wire = 0;
        }
        match inflating.fragments {
            DeflateFrameFragments::PerMessage => inflating.message,
            DeflateFrameFragments::PerFrame | DeflateFrameFragments::Auto => rsv1,
        }
    }

    /// Counts what a compressed frame declares. A limit of its own, since what it inflates to is not known: a
    /// message does not get twice as long. One that is sent in pieces may, if they are short, and so what it
    /// takes to flush each is not counted.
    pub(super) fn count_wire(&mut self, header: &Header, max_message: u64) -> Result<(), ProtocolError> {
        const SLACK: u64 = 1024;
        const FLUSH: u64 = 10;
        let flushed = if header.opcode == Opcode::Continuation { FLUSH } else { 0 };
        let inflating = &mut self.inflating;
        inflating.wire = inflating.wire.saturating_add(header.len.saturating_sub(flushed));
        if inflating.wire > max_message.saturating_mul(2).saturating_add(SLACK) {
            return Err(ProtocolError::MessageTooBig { len: inflating.wire, max: max_message });
        }
        Ok(())
    }

    pub(super) fn inflate(&mut self, payload: &mut &[u8]) -> Result<&[u8], ProtocolError> {
        let Inflating { inflater, window, extension, fragments, .. } = &mut self.inflating;
        let inflater = match inflater {
            Some(inflater) => inflater,
            None => inflater.insert(match (*extension, &mut self.pool) {
                (Extension::PermessageDeflate, Some(pool)) => pool.inflater(*window),
                _ if *fragments == DeflateFrameFragments::Auto => Inflater::forkable(*window),
                _ => Inflater::new(*window),
            }),
        };
        inflater.inflate(payload).map_err(|_| ProtocolError::CorruptDeflate)
    }

    /// The payload of a compressed frame is all inflated.
    pub(super) fn end_frame(&mut self, fin: bool) -> Result<(), ProtocolError> {
        let inflating = &mut self.inflating;
        let Some(mut inflater) = inflating.inflater.take() else { return Ok(()) };
        if inflating.fragments == DeflateFrameFragments::Auto && !fin && inflater.has_begun() {
            // If frames are compressed for themselves, this one is whole once it has its tail.
            let whole = inflater.fork().and_then(|mut fork| fork.finish().ok().map(|()| fork));
            inflating.fragments = match whole {
                Some(fork) => {
                    inflater = fork;
                    DeflateFrameFragments::PerFrame
                }
                None => DeflateFrameFragments::PerMessage,
            };
        }
        let over = fin || inflating.fragments == DeflateFrameFragments::PerFrame;
        if over {
            inflater.finish().map_err(|_| ProtocolError::CorruptDeflate)?;
        }
        if inflating.takeover || !over {
            inflating.inflater = Some(inflater);
        } else if let (Extension::PermessageDeflate, Some(pool)) = (inflating.extension, &mut self.pool) {
            pool.put_inflater(inflater);
        }
        Ok(())
    }
}
