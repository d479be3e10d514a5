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

    /// The pieces, none of them empty: single bytes, if there are no sizes.
    pub fn pieces(&self) -> impl Iterator<Item = &'d [u8]> {
        let mut sizes = self.sizes.iter().cycle();
        let mut rest = self.stream;
        std::iter::from_fn(move || {
            let size = usize::from(sizes.next().map_or(1, |size| (*size).max(1)));
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
