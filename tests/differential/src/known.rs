//! Where peers differ from us, and who is right.

use crate::compare::Parting;

pub(crate) struct Known {
    pub(crate) peer: &'static str,
    pub(crate) what: &'static str,
    pub(crate) section: &'static str,
    pub(crate) applies: fn(&Parting) -> bool,
}

pub(crate) fn of(peer: &str) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(move |known| known.peer == peer)
}

static KNOWN: [Known; 0] = [];
