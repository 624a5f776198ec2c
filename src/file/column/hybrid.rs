//! Levels and codes as Parquet's hybrid of runs and bit-packed groups (`RLE`, `RLE_DICTIONARY`).

/// Values that are packed together.
const GROUP: usize = 8;

/// The bits that a number up to this one takes.
pub(super) fn width_of(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
}

/// Appends numbers of at most `width` bits: a run where one repeats often enough, and groups of eight between runs.
pub(super) fn write<T: Copy + Eq + Into<u32>>(numbers: &[T], width: u32, to: &mut Vec<u8>) {
    // What lies between the two is not written yet, and in no run.
    let (mut start, mut at) = (0usize, 0usize);
    for run in numbers.chunk_by(|one, other| one == other) {
        // A group is whole, so what is missing of one is taken from the run behind it.
        let missing = (at - start).next_multiple_of(GROUP) - (at - start);
        if run.len() >= missing + GROUP {
            pack(numbers.get(start..at + missing).unwrap_or_default(), width, to);
            run.first().into_iter().for_each(|&number| repeat(number.into(), run.len() - missing, width, to));
            start = at + run.len();
        }
        at += run.len();
    }
    pack(numbers.get(start..).unwrap_or_default(), width, to);
}

/// Appends one number many times.
pub(super) fn repeat(number: u32, times: usize, width: u32, to: &mut Vec<u8>) {
    if times > 0 {
        write_varint((times as u64) << 1, to);
        to.extend(number.to_le_bytes().into_iter().take(width.div_ceil(8) as usize));
    }
}

/// Appends groups; the last one is filled up with zeros.
fn pack<T: Copy + Into<u32>>(numbers: &[T], width: u32, to: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(GROUP);
    write_varint((groups as u64) << 1 | 1, to);
    pack_bits(numbers, width, groups * width as usize, to);
}

/// Appends numbers of `width` bits, the least bit first, and zeros up to so many bytes.
pub(super) fn pack_bits<T: Copy + Into<u32>>(numbers: &[T], width: u32, bytes: usize, to: &mut Vec<u8>) {
    let end = to.len() + bytes;
    to.reserve(bytes + size_of::<u64>());
    let (mut word, mut bits) = (0u64, 0);
    for &number in numbers {
        word |= u64::from(number.into()) << bits;
        bits += width;
        if bits >= u32::BITS {
            to.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= u32::BITS;
            bits -= u32::BITS;
        }
    }
    to.extend_from_slice(&word.to_le_bytes());
    to.resize(end, 0);
}

/// Appends a number in groups of seven bits, the least first.
pub(super) fn write_varint(number: u64, to: &mut Vec<u8>) {
    let mut rest = number;
    while rest > 0x7f {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// A number whose sign is its least bit, so that small ones of both signs are short.
pub(super) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}
