//! RFC 6455 §5.2–§5.4, §5.6: frames and messages.

use sansocket::{Config, Event, Message};
use sansocket_tests::{ROLES, at_every_split, open, wire};

#[test]
fn a_message_in_one_frame_is_received_wherever_it_is_cut() {
    for role in ROLES {
        let stream = wire::frame(role, wire::TEXT, "Hello");
        let record = at_every_split(|| open(role, &Config::new()), &stream);
        assert_eq!(record.events, [Event::Message(Message::from("Hello"))]);
    }
}
