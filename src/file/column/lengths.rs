//! The lengths of texts as Parquet's `DELTA_BINARY_PACKED`: differences in blocks, each packed as narrow as its part of the block allows.

use super::hybrid::{pack_bits, width_of, write_varint, zigzag};

/// Differences of a block, and of its parts.
const BLOCK: usize = 128;
const PART: usize = 32;

/// Appends lengths, of which there may be none.
pub(super) fn write(lengths: impl ExactSizeIterator<Item = i32>, to: &mut Vec<u8>) {
    write_varint(BLOCK as u64, to);
    write_varint((BLOCK / PART) as u64, to);
    write_varint(lengths.len() as u64, to);
    let mut lengths = lengths.map(i64::from);
    let mut last = lengths.next().unwrap_or(0);
    write_varint(zigzag(last), to);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.extend(lengths.by_ref().take(BLOCK).map(|length| length - std::mem::replace(&mut last, length)));
        if block.is_empty() {
            return;
        }
        write_block(&block, to);
        block.clear();
    }
}

fn write_block(differences: &[i64], to: &mut Vec<u8>) {
    let least = differences.iter().copied().min().unwrap_or(0);
    // Two lengths lie less than 2^31 apart, so two differences less than 2^32.
    let above = differences.iter().map(|difference| (difference - least) as u32).collect::<Vec<_>>();
    let width = |part: &[u32]| width_of(part.iter().copied().max().unwrap_or(0));
    write_varint(zigzag(least), to);
    to.extend(above.chunks(PART).map(|part| width(part) as u8).chain(std::iter::repeat(0)).take(BLOCK / PART));
    for part in above.chunks(PART) {
        pack_bits(part, width(part), PART / 8 * width(part) as usize, to);
    }
}
