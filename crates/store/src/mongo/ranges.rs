//! Sets of positions, as ranges: appends come in blocks, mostly one after the other.

/// Ranges kept at most; the oldest are forgotten first, which only costs a closer look.
const KEPT: usize = 10_000;

/// A set of positions.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// (first, last), growing and apart.
    ranges: Vec<(i64, i64)>,
}

impl Ranges {
    /// Adds positions that lie above all added before.
    pub(super) fn add(&mut self, first: i64, last: i64) {
        match self.ranges.last_mut() {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ => self.ranges.push((first, last)),
        }
        let excess = self.ranges.len().saturating_sub(KEPT);
        self.ranges.drain(..excess);
    }

    pub(super) fn contains(&self, position: i64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= position);
        after > 0 && position <= self.ranges[after - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_in_the_range_that_holds_it() {
        let mut ranges = Ranges::default();
        for (first, last) in [(1, 3), (4, 4), (10, 12)] {
            ranges.add(first, last);
        }
        let inside: Vec<i64> = (0..=13).filter(|p| ranges.contains(*p)).collect();
        assert_eq!(inside, [1, 2, 3, 4, 10, 11, 12]);
        assert_eq!(ranges.ranges.len(), 2);
    }
}
