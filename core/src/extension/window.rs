//! The size of a window, as the extensions' parameters say it.

use alloc::format;
use core::fmt;

/// The size of an LZ77 sliding window as its base-2 logarithm: 8 to 15, for 256 bytes to 32 KiB (RFC 7692
/// §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB, what holds if nothing is said.
    pub const MAX: Self = Self(15);

    /// How many bytes one takes in a header at most.
    pub(super) const MAX_LEN: usize = 2;

    /// A window of 2^`bits` bytes, if there is one: 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The logarithm.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// As it stands in a header: "without leading zeros" (§7.1.2.1).
    pub(super) fn parse(value: &str) -> Option<Self> {
        (8..=15).map(Self).find(|bits| value == format!("{bits}"))
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
