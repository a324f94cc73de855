//! Which objects are worth compressing: the rule of all stores, without a compressor.
//!
//! Invariant: it decides about room and time only. An object is named by the digest of its bytes before any compression,
//! so whatever is decided here may be decided otherwise tomorrow.

use crate::Blob;

/// Below this many bytes, compressing costs more than it saves.
pub const LEAST: usize = 1 << 10;

/// How much of a large object is tried before all of it is compressed.
pub const SAMPLE: usize = 64 << 10;

/// The level of zstd: fast, and within a few per cent of what higher ones reach on pickled values.
pub const LEVEL: i32 = 1;

/// Less than a tenth saved is not worth decompressing at every read.
pub fn worth(zipped: usize, plain: usize) -> bool {
    zipped.saturating_mul(10) < plain.saturating_mul(9)
}

/// What to try of a large object: the middle of its largest part, for beginnings are headers, and small parts are not
/// what matters.
pub fn sample(blob: &Blob) -> &[u8] {
    let Some(part) = blob.parts().iter().max_by_key(|part| part.len()) else { return &[] };
    let start = part.len().saturating_sub(SAMPLE) / 2;
    part.get(start..part.len().min(start + SAMPLE)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_the_least() {
        assert!(worth(89, 100) && !worth(90, 100) && !worth(0, 0));
    }

    #[test]
    fn the_middle_of_the_largest_part_is_tried() {
        let large: Vec<u8> = (0..3 * SAMPLE).map(|n| (n / SAMPLE) as u8).collect();
        let blob = Blob::new(vec![vec![9; 5].into(), large.into(), vec![8; 7].into()]);
        assert_eq!(sample(&blob), vec![1; SAMPLE]);
        assert_eq!(sample(&Blob::from(vec![5; 3])), [5; 3]);
        assert!(sample(&Blob::new(vec![])).is_empty());
    }
}
