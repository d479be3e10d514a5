//! The validator of text in pieces against the standard library.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::message::utf8::{Validator, validate};
use sansocket_fuzz::Cut;
use sansocket_fuzz::reference::first_impossible;

fuzz_target!(|data: &[u8]| {
    let Some(cut) = Cut::new(data) else { return };
    let expected = std::str::from_utf8(cut.stream);
    assert_eq!(validate(cut.stream), expected.ok());

    let (mut validator, mut text, mut taken) = (Validator::new(), String::new(), 0);
    for piece in cut.pieces() {
        let mut silent = validator;
        let result = validator.feed_into(piece, &mut text);
        assert_eq!(silent.feed(piece), result);
        if let Err(error) = result {
            assert_eq!(Some(taken + error.valid_up_to), first_impossible(cut.stream));
            return;
        }
        taken += piece.len();
        assert!(taken - text.len() < 4, "a character was held back");
        assert_eq!(validator.is_complete(), text.len() == taken);
    }
    assert!(cut.stream.starts_with(text.as_bytes()), "it is handed out as it came");
    assert_eq!(first_impossible(cut.stream), None);
    assert_eq!(validator.is_complete(), expected.is_ok());
});
