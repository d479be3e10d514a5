//! A stream and where it is cut.

/// The fuzzer's bytes as a stream and the sizes of its pieces, which are used in turn: a count, so many sizes, the stream.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'d> {
    sizes: &'d [u8],
    pub stream: &'d [u8],
}

impl<'d> Cut<'d> {
    pub fn new(data: &'d [u8]) -> Option<Self> {
        let (count, rest) = data.split_first()?;
        let (sizes, stream) = rest.split_at_checked(usize::from(count % 16))?;
        Some(Self { sizes, stream })
    }

    /// The sizes, none of them 0 and without an end: single bytes, if there are none.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + use<'d> {
        let sizes = if self.sizes.is_empty() { &[1] } else { self.sizes };
        sizes.iter().cycle().map(|size| usize::from(*size).max(1))
    }

    /// The pieces, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'d [u8]> + use<'d> {
        let mut sizes = self.sizes();
        let mut rest = self.stream;
        std::iter::from_fn(move || {
            let size = sizes.next().unwrap_or(1);
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
