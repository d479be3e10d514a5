//! What errors say, for logs.

use core::error::Error;
use std::collections::HashSet;

use sansocket::extension::{InvalidAnswer, offers};
use sansocket::{
    AcceptError, Cause, CloseCode, CloseFrame, Disconnect, HandshakeError, InvalidHeader, InvalidUrl,
    ProtocolError, Refusal, Rejected, SendError, Side, Status, Timer,
};

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

#[test]
fn each_reason_for_an_end_says_what_it_is() {
    use ProtocolError as P;
    let violations = [
        P::ReservedBits,
        P::ReservedOpcode(3),
        P::Unmasked,
        P::Masked,
        P::NonMinimalLength,
        P::LengthOverflow,
        P::FragmentedControl,
        P::ControlTooLong,
        P::UnexpectedContinuation,
        P::ExpectedContinuation,
        P::CorruptDeflate,
        P::InvalidUtf8,
        P::CloseOfOneByte,
        P::InvalidCloseCode(1005),
        P::InvalidCloseReason,
        P::FrameTooBig { len: 7, max: 6 },
        P::MessageTooBig { len: 9, max: 8 },
        P::TooManyFragments { max: 5 },
    ];
    let timers = [Timer::Handshake, Timer::Idle, Timer::KeepAlive, Timer::Pong, Timer::Close];
    let causes = [
        Cause::Closed(Side::Local),
        Cause::Closed(Side::Remote),
        Cause::Lost,
        Cause::Rejected(Status::FORBIDDEN),
    ];
    let others = [
        (Cause::Refused(Refusal::Key), Refusal::Key.to_string()),
        (Cause::Handshake(HandshakeError::Accept), HandshakeError::Accept.to_string()),
    ];
    let within = |cause: Cause, part: String| {
        let end = Disconnect::from(cause);
        let whole = end.to_string();
        assert!(whole.contains(&part) && !part.is_empty(), "{whole}: {part}");
        assert!(end.source().is_none_or(|source| source.to_string() == part));
        assert_eq!(end.source().is_some(), !matches!(end.cause(), Cause::TimedOut(_)));
        whole
    };
    let texts: Vec<_> = causes
        .map(|cause| Disconnect::from(cause).to_string())
        .into_iter()
        .chain(others.map(|(cause, part)| within(cause, part)))
        .chain(violations.map(|error| within(Cause::Violation(error), error.to_string())))
        .chain(timers.map(|timer| within(Cause::TimedOut(timer), timer.to_string())))
        .collect();
    assert!(texts.iter().all(|text| text.contains(' ')), "{texts:?}");
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len(), "two say the same: {texts:?}");
}

#[test]
fn a_message_that_was_not_queued_tells_why() {
    let rejected = Rejected { message: "m".into(), error: SendError::Full };
    assert_eq!(rejected.to_string(), SendError::Full.to_string());
    assert_eq!(rejected.source().unwrap().to_string(), SendError::Full.to_string());
}
