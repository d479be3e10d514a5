/// The Pings that came, which Pongs are owed. RFC 6455 §5.5.3 lets a Pong stand for all Pings
/// before it. Which of several with the same payload a Pong answers, nobody can tell: it may be any.
#[derive(Debug)]
pub(super) struct Owed {
    /// And whether each must be answered.
    pings: Vec<(Vec<u8>, bool)>,
    /// How many may have been dealt with so far, ascending.
    done: Vec<usize>,
}

impl Default for Owed {
    fn default() -> Self {
        Self { pings: Vec::new(), done: vec![0] }
    }
}

impl Owed {
    pub(super) fn ping(&mut self, payload: &[u8], must: bool) {
        self.pings.push((payload.to_vec(), must));
    }

    /// Whether this may be said now.
    #[must_use]
    pub(super) fn pong(&mut self, payload: &[u8]) -> bool {
        let mut done: Vec<_> =
            self.done.iter().flat_map(|&done| self.candidates(done, payload)).map(|at| at + 1).collect();
        done.sort_unstable();
        done.dedup();
        self.done = done;
        !self.done.is_empty()
    }

    /// The Pings from there on that such a Pong may answer: none that must be answered comes before.
    fn candidates(&self, from: usize, payload: &[u8]) -> impl Iterator<Item = usize> {
        let pings = &self.pings[from..];
        let last = pings.iter().position(|&(_, must)| must).map_or(pings.len(), |at| at + 1);
        (from..from + last).filter(move |&at| self.pings[at].0 == payload)
    }

    /// Whether no more need be said.
    pub(super) fn may_end(&self) -> bool {
        self.done.iter().any(|&done| self.pings[done..].iter().all(|(_, must)| !must))
    }

    /// Whether the newest may have been answered, and so no Pong waits.
    pub(super) fn is_through(&self) -> bool {
        self.done.contains(&self.pings.len())
    }
}

#[test]
fn a_pong_may_answer_any_of_the_same_pings_and_passes_over_none_that_must_be_answered() {
    let mut owed = Owed::default();
    for (payload, must) in [("", false), ("", false), ("1", false), ("", false), ("", true), ("1", true)] {
        owed.ping(payload.as_bytes(), must);
    }
    assert!(!owed.may_end());
    assert!(owed.pong(b"") && owed.pong(b""));
    assert!(!owed.may_end() && !owed.is_through());
    assert!(owed.pong(b"1"));
    assert!(owed.may_end() && owed.is_through());
    owed.ping(b"2", true);
    owed.ping(b"3", false);
    assert!(!owed.may_end() && !owed.pong(b"3"), "over one that must be answered");

    let mut owed = Owed::default();
    assert!(owed.may_end() && owed.is_through());
    owed.ping(b"1", false);
    assert!(owed.may_end() && !owed.is_through());
    assert!(!owed.pong(b"2"), "nobody has asked for it");
}
