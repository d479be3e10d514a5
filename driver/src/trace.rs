//! What a program's log is told, with the feature `tracing`; nothing without it.
//!
//! Payloads are never told, and what a peer has written is escaped.

#[cfg(feature = "tracing")]
mod on {
    use sansocket::{Agreed, Cause, Disconnect, Role};

    const TARGET: &str = "sansocket";

    pub(crate) fn opened(role: Role, agreed: Option<&Agreed>) {
        let subprotocol = agreed.and_then(Agreed::subprotocol);
        #[cfg(feature = "deflate")]
        let compressed = agreed.is_some_and(|agreed| agreed.compression().is_some());
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        tracing::debug!(target: TARGET, ?role, subprotocol, compressed, "open");
    }

    /// A peer that breaks the protocol is worth a look; most other ends are everyday.
    pub(crate) fn ended(disconnect: &Disconnect) {
        match disconnect.cause() {
            Cause::Violation(_) | Cause::Handshake(_) => {
                tracing::warn!(target: TARGET, reason = %disconnect, "failed");
            }
            Cause::Refused(_) => tracing::info!(target: TARGET, reason = %disconnect, "refused"),
            Cause::Rejected(_) => tracing::debug!(target: TARGET, reason = %disconnect, "rejected"),
            _ => {
                let clean = disconnect.is_clean();
                tracing::debug!(target: TARGET, reason = %disconnect, clean, "closed");
            }
        }
    }

    pub(crate) fn failed(error: &std::io::Error) {
        tracing::debug!(target: TARGET, %error, "the stream failed");
    }

    pub(crate) fn handler_failed(error: &dyn core::fmt::Display) {
        tracing::error!(target: TARGET, %error, "a handler failed");
    }
}

#[cfg(not(feature = "tracing"))]
mod on {
    use sansocket::{Agreed, Disconnect, Role};

    pub(crate) fn opened(_: Role, _: Option<&Agreed>) {}
    pub(crate) fn ended(_: &Disconnect) {}
    pub(crate) fn failed(_: &std::io::Error) {}
    pub(crate) fn handler_failed(_: &dyn core::fmt::Display) {}
}

pub(crate) use on::*;
