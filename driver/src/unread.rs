//! Bytes that were read and not taken.

use crate::pool::{self, PAGE, READ, front};

/// Room for a few bytes more, where a few came.
const SLACK: usize = 64;

/// A block that is read into, and what of it has not been taken.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    block: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    /// So many bytes, at least, must come behind these before they can be taken.
    missing: usize,
}

impl Unread {
    /// Whether nothing can be taken before more is read.
    pub(crate) fn wants_more(&self) -> bool {
        self.is_empty() || self.missing > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        match &mut self.block {
            Some(block) => &mut block[self.start..self.end],
            None => &mut [],
        }
    }

    /// All but the last `left` bytes were taken, and those lack `missing`.
    pub(crate) fn keep_last(&mut self, left: usize, missing: usize) {
        self.start = self.end - left;
        self.missing = missing;
        self.release();
    }

    /// Room to read into, behind what is there.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.is_empty() {
            let block = self.block.get_or_insert_with(pool::take_read);
            self.start = front(block);
            self.end = self.start;
            return &mut block[self.start..][..READ];
        }
        let most = self.missing.max(READ);
        if !self.has_slack() {
            self.make_room();
        }
        let Some(block) = &mut self.block else { return &mut [] };
        let end = block.len().min(self.end.saturating_add(most));
        &mut block[self.end..end]
    }

    /// So many bytes were read there; one at least.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
        self.missing = self.missing.saturating_sub(n);
    }

    /// Moves a few bytes that have to wait to memory of their own. If most of them, `waited`, did so before, some room is
    /// left for more, or what comes by single bytes would be moved as a whole with each.
    pub(crate) fn shrink(&mut self, waited: usize) {
        let len = self.len();
        if len == 0 {
            return self.release();
        }
        let room = len + if waited > len / 2 { len / 2 + SLACK } else { 0 };
        if len <= READ / 2
            && let Some(block) = self.block.take_if(|block| block.len() > room)
        {
            let mut short = vec![0; room].into_boxed_slice();
            short[..len].copy_from_slice(&block[self.start..self.end]);
            (self.block, self.start, self.end) = (Some(short), 0, len);
            pool::give_read(block);
        }
    }

    /// Whether there is room in a block that was made for what waits.
    fn has_slack(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.len() < READ && self.end < block.len())
    }

    /// Gives up a block that nothing is in.
    pub(crate) fn release(&mut self) {
        if self.is_empty()
            && let Some(block) = self.block.take()
        {
            (self.start, self.end) = (0, 0);
            pool::give_read(block);
        }
    }

    /// What is there moves to the front if there is little room behind it, and to a longer block if there is little
    /// in all. That is as long as what it lacks demands only if the thread has such a one: what a peer has announced
    /// and not sent takes no memory, or as much again as it has sent.
    #[inline(never)]
    fn make_room(&mut self) {
        let len = self.len();
        let whole = len.saturating_add(self.missing);
        let room = self.block.as_ref().map_or(0, |block| block.len().saturating_sub(PAGE + len));
        if room < self.missing.min(READ / 2) {
            let least = whole.min(len.saturating_mul(2)).max(READ);
            let mut longer = pool::take_long_read(whole, least);
            let start = front(&longer);
            longer[start..start + len].copy_from_slice(self.bytes());
            if let Some(block) = self.block.replace(longer) {
                pool::give_read(block);
            }
            (self.start, self.end) = (start, start + len);
        } else if let Some(block) = &mut self.block
            && block.len() - self.end < self.missing.max(READ / 2).min(room)
        {
            let start = front(block);
            block.copy_within(self.start..self.end, start);
            (self.start, self.end) = (start, start + len);
        }
    }
}

impl From<&[u8]> for Unread {
    fn from(bytes: &[u8]) -> Self {
        let block = (!bytes.is_empty()).then(|| bytes.into());
        Self { block, start: 0, end: bytes.len(), missing: 0 }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            pool::give_read(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bytes: &[u8]) -> usize {
        bytes.as_ptr().addr() % PAGE
    }

    #[test]
    fn what_is_read_begins_in_the_middle_of_a_page_and_so_it_does_when_it_has_moved() {
        let mut unread = Unread::default();
        let mut len = 0;
        for missing in [3 << 20, 2 << 20, 1 << 20] {
            let space = unread.space();
            assert_eq!(place(space), (PAGE / 2 + len) % PAGE);
            let read = space.len();
            assert!(read >= READ / 2, "{read}");
            space.fill(7);
            unread.filled(read);
            len += read;
            unread.keep_last(len, missing);
            assert_eq!(place(unread.bytes()), PAGE / 2);
        }
        unread.keep_last(10, 20);
        unread.shrink(0);
        assert_eq!(unread.bytes(), [7; 10]);
        let _ = unread.space();
        assert_eq!((place(unread.bytes()), unread.len()), (PAGE / 2, 10));
    }
}
