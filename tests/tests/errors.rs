//! What errors say, for logs.

use core::error::Error;
use std::collections::HashSet;

use sansocket::extension::{InvalidAnswer, offers};
use sansocket::{AcceptError, CloseCode, CloseFrame, HandshakeError, InvalidHeader, InvalidUrl, SendError};

#[test]
fn each_error_says_what_it_is() {
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(CloseFrame::new(CloseCode::NORMAL_CLOSURE, "x".repeat(124)).unwrap_err()),
        Box::new(offers(b"@").next().unwrap().unwrap_err()),
        Box::new(InvalidAnswer::NotOffered),
        Box::new(InvalidAnswer::Parameters),
        Box::new(InvalidAnswer::NotGranted),
        Box::new(InvalidHeader::Name),
        Box::new(InvalidHeader::Value),
        Box::new(InvalidHeader::Reserved),
        Box::new(InvalidUrl::Scheme),
        Box::new(InvalidUrl::Host),
        Box::new(InvalidUrl::Port),
        Box::new(InvalidUrl::Userinfo),
        Box::new(InvalidUrl::Fragment),
        Box::new(InvalidUrl::Character),
        Box::new(InvalidUrl::Downgrade),
        Box::new(HandshakeError::Malformed),
        Box::new(HandshakeError::HeadTooLong),
        Box::new(HandshakeError::TooManyHeaders),
        Box::new(HandshakeError::TooManyInterim),
        Box::new(HandshakeError::Upgrade),
        Box::new(HandshakeError::Connection),
        Box::new(HandshakeError::Accept),
        Box::new(HandshakeError::Subprotocol),
        Box::new(HandshakeError::Extension),
        Box::new(AcceptError::NoRequest),
        Box::new(AcceptError::SubprotocolNotOffered),
        Box::new(SendError::NotOpen),
        Box::new(SendError::Closed),
        Box::new(SendError::Full),
        Box::new(SendError::MessageInProgress),
        Box::new(SendError::NoMessageInProgress),
        Box::new(SendError::ControlTooLong),
        Box::new(SendError::InvalidUtf8),
    ];
    let texts: HashSet<_> = errors.iter().map(ToString::to_string).collect();
    assert!(texts.iter().all(|text| text.contains(' ')), "{texts:?}");
    assert_eq!(texts.len(), errors.len(), "two say the same: {texts:?}");
}
