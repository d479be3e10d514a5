//! permessage-deflate: offers and answers (RFC 7692 §7.1).

use alloc::string::String;

use super::header::{Offer, Param};
use super::negotiation::{Extension, InvalidAnswer, Negotiated, Settings};
use super::window::WindowBits;
use super::{bits, flag};

const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

pub(super) fn offer(settings: &Settings) -> String {
    let mut header = String::from(Extension::PermessageDeflate.name());
    header.push_str("; ");
    header.push_str(CLIENT_BITS);
    flag(&mut header, settings.client_no_context_takeover, CLIENT_TAKEOVER);
    flag(&mut header, settings.server_no_context_takeover, SERVER_TAKEOVER);
    if settings.server_max_window_bits < WindowBits::MAX {
        bits(&mut header, SERVER_BITS, settings.server_max_window_bits);
    }
    header
}

pub(super) fn accept(settings: &Settings, offer: &Offer<'_>) -> Option<(Negotiated, String)> {
    let given = Given::read(offer)?;
    // A client that does not say so cannot be told to use a smaller window (§7.1.2.2).
    if given.client_max_window_bits.is_none() && settings.client_max_window_bits < WindowBits::MAX {
        return None;
    }
    let server_bits = given.server_max_window_bits.unwrap_or(WindowBits::MAX);
    let client_bits = given.client_max_window_bits.flatten().unwrap_or(WindowBits::MAX);
    let agreed = Negotiated {
        extension: Extension::PermessageDeflate,
        server_no_context_takeover: given.server_no_context_takeover || settings.server_no_context_takeover,
        client_no_context_takeover: given.client_no_context_takeover || settings.client_no_context_takeover,
        server_max_window_bits: server_bits.min(settings.server_max_window_bits),
        client_max_window_bits: client_bits.min(settings.client_max_window_bits),
    };
    let mut header = String::from(agreed.extension.name());
    flag(&mut header, agreed.server_no_context_takeover, SERVER_TAKEOVER);
    flag(&mut header, agreed.client_no_context_takeover, CLIENT_TAKEOVER);
    if given.server_max_window_bits.is_some() || agreed.server_max_window_bits < WindowBits::MAX {
        bits(&mut header, SERVER_BITS, agreed.server_max_window_bits);
    }
    if given.client_max_window_bits.is_some() {
        bits(&mut header, CLIENT_BITS, agreed.client_max_window_bits);
    }
    Some((agreed, header))
}

pub(super) fn verify(settings: &Settings, answer: &Offer<'_>) -> Result<Negotiated, InvalidAnswer> {
    let given = Given::read(answer).ok_or(InvalidAnswer::Parameters)?;
    // In an answer a window always has a size.
    if given.client_max_window_bits == Some(None) {
        return Err(InvalidAnswer::Parameters);
    }
    let server_bits = given.server_max_window_bits.unwrap_or(WindowBits::MAX);
    let is_granted = given.server_no_context_takeover || !settings.server_no_context_takeover;
    if !is_granted || server_bits > settings.server_max_window_bits {
        return Err(InvalidAnswer::NotGranted);
    }
    let client_bits = given.client_max_window_bits.flatten().unwrap_or(WindowBits::MAX);
    Ok(Negotiated {
        extension: Extension::PermessageDeflate,
        server_no_context_takeover: given.server_no_context_takeover,
        client_no_context_takeover: given.client_no_context_takeover || settings.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits.min(settings.client_max_window_bits),
    })
}

/// The parameters of one offer or answer.
#[derive(Default)]
struct Given {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// In an offer it may stand without a value.
    client_max_window_bits: Option<Option<WindowBits>>,
}

impl Given {
    /// `None` if a parameter is unknown, there twice, or has a value that it must not have (§7.1).
    fn read(offer: &Offer<'_>) -> Option<Self> {
        let mut given = Self::default();
        for Param { name, value } in offer.params_up_to(WindowBits::MAX_LEN) {
            let is_new = match (name, value.as_deref()) {
                (SERVER_TAKEOVER, None) => !core::mem::replace(&mut given.server_no_context_takeover, true),
                (CLIENT_TAKEOVER, None) => !core::mem::replace(&mut given.client_no_context_takeover, true),
                (SERVER_BITS, Some(bits)) => {
                    given.server_max_window_bits.replace(WindowBits::parse(bits)?).is_none()
                }
                (CLIENT_BITS, None) => given.client_max_window_bits.replace(None).is_none(),
                (CLIENT_BITS, Some(bits)) => {
                    given.client_max_window_bits.replace(Some(WindowBits::parse(bits)?)).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(given)
    }
}
