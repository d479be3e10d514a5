//! `x-webkit-deflate-frame` and `deflate-frame`: offers and answers
//! (draft-tyoshino-hybi-websocket-perframe-deflate-06 §4).
//!
//! Both parameters are about the other side's compressor: in an offer the server's, in an answer the client's.

use alloc::string::String;

use super::header::{Offer, Param};
use super::negotiation::{Extension, InvalidAnswer, Negotiated, Settings};
use super::window::WindowBits;
use super::{bits, flag};

const TAKEOVER: &str = "no_context_takeover";
const BITS: &str = "max_window_bits";

pub(super) fn offer(settings: &Settings, extension: Extension) -> String {
    write(extension, settings.server_no_context_takeover, settings.server_max_window_bits)
}

pub(super) fn accept(
    settings: &Settings,
    extension: Extension,
    offer: &Offer<'_>,
) -> Option<(Negotiated, String)> {
    let given = Given::read(offer)?;
    let agreed = Negotiated {
        extension,
        server_no_context_takeover: given.no_context_takeover || settings.server_no_context_takeover,
        client_no_context_takeover: settings.client_no_context_takeover,
        server_max_window_bits: given.bits().min(settings.server_max_window_bits),
        client_max_window_bits: settings.client_max_window_bits,
    };
    let header = write(extension, agreed.client_no_context_takeover, agreed.client_max_window_bits);
    Some((agreed, header))
}

pub(super) fn verify(
    settings: &Settings,
    extension: Extension,
    answer: &Offer<'_>,
) -> Result<Negotiated, InvalidAnswer> {
    let given = Given::read(answer).ok_or(InvalidAnswer::Parameters)?;
    Ok(Negotiated {
        extension,
        // Whether the server keeps to what was asked of it, its answer does not say.
        server_no_context_takeover: false,
        client_no_context_takeover: given.no_context_takeover || settings.client_no_context_takeover,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: given.bits().min(settings.client_max_window_bits),
    })
}

fn write(extension: Extension, no_context_takeover: bool, window: WindowBits) -> String {
    let mut header = String::from(extension.name());
    flag(&mut header, no_context_takeover, TAKEOVER);
    if window < WindowBits::MAX {
        bits(&mut header, BITS, window);
    }
    header
}

#[derive(Default)]
struct Given {
    no_context_takeover: bool,
    max_window_bits: Option<WindowBits>,
}

impl Given {
    /// `None` if a parameter is unknown, there twice, or has a value that it must not have.
    fn read(offer: &Offer<'_>) -> Option<Self> {
        let mut given = Self::default();
        for Param { name, value } in offer.params_up_to(WindowBits::MAX_LEN) {
            let is_new = match (name, value.as_deref()) {
                (TAKEOVER, None) => !core::mem::replace(&mut given.no_context_takeover, true),
                (BITS, Some(bits)) => given.max_window_bits.replace(WindowBits::parse(bits)?).is_none(),
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(given)
    }

    fn bits(&self) -> WindowBits {
        self.max_window_bits.unwrap_or(WindowBits::MAX)
    }
}
