//! Who gets the messages.

use std::hint::black_box;

use crate::cell::Cell;

#[derive(Debug)]
pub struct Application {
    payload: Vec<u8>,
    is_text: bool,
    verifies: bool,
    pub messages: usize,
}

impl Application {
    pub fn new(cell: &Cell) -> Self {
        Self { payload: cell.payload(), is_text: cell.is_text(), verifies: false, messages: 0 }
    }

    /// From now on, compares what it gets.
    pub fn verify(&mut self) {
        self.verifies = true;
    }

    pub fn text(&mut self, text: &str) {
        self.take(true, text.as_bytes());
    }

    pub fn binary(&mut self, bytes: &[u8]) {
        self.take(false, bytes);
    }

    /// Text of a library that validates it and yet shows bytes.
    pub fn validated(&mut self, is_text: bool, bytes: &[u8]) {
        self.take(is_text, bytes);
    }

    fn take(&mut self, is_text: bool, bytes: &[u8]) {
        self.messages += 1;
        black_box(bytes);
        if self.verifies {
            assert_eq!(is_text, self.is_text);
            assert!(bytes == self.payload, "message {} is another", self.messages);
        }
    }
}
