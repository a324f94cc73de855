//! What lies around a pickle in a stored object.
//!
//! Either the object is a plain pickle; or it begins with [`MAGIC`], a count `n` (u32, little endian), a zero (u32)
//! and `n + 1` lengths (u64): of the pickle, then of each buffer that was kept out of it. Then these follow, each
//! at the next offset that is a multiple of 64, so that arrays can be mapped.

use super::Malformed;

const MAGIC: &[u8] = b"afresh1\n";
const ALIGN: usize = 64;

/// The parts of a stored object.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) pickle: &'a [u8],
    pub(super) buffers: Vec<&'a [u8]>,
}

pub(super) fn split(stored: &[u8]) -> Result<Frame<'_>, Malformed> {
    let Some(rest) = stored.strip_prefix(MAGIC) else {
        return Ok(Frame { pickle: stored, buffers: Vec::new() });
    };
    let bad = |what: &str| Malformed::new(what, MAGIC.len());
    let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(|| bad("a frame is cut off"))?;
    let (zero, rest) = rest.split_first_chunk::<4>().ok_or_else(|| bad("a frame is cut off"))?;
    if *zero != [0; 4] {
        return Err(bad("a frame is of an unknown kind"));
    }
    let count = u64::from(u32::from_le_bytes(*count)) + 1;
    let (lengths, _) = rest.as_chunks::<8>();
    if (lengths.len() as u64) < count {
        return Err(bad("a frame is cut off"));
    }
    let mut end = MAGIC.len() + 8 + 8 * usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    for length in lengths.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let start = end.next_multiple_of(ALIGN);
        let part = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .and_then(|length| start.checked_add(length))
            .and_then(|stop| stored.get(start..stop))
            .ok_or_else(|| Malformed::new("a part of a frame is cut off", start))?;
        end = start + part.len();
        parts.push(part);
    }
    let mut parts = parts.into_iter();
    let pickle = parts.next().unwrap_or_default();
    Ok(Frame { pickle, buffers: parts.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let mut all = MAGIC.to_vec();
        all.extend((parts.len() as u32 - 1).to_le_bytes());
        all.extend([0; 4]);
        for part in parts {
            all.extend((part.len() as u64).to_le_bytes());
        }
        for part in parts {
            all.resize(all.len().next_multiple_of(ALIGN), 0);
            all.extend_from_slice(part);
        }
        all
    }

    #[test]
    fn parts_are_found_where_they_were_put() {
        for parts in [vec![&b"N."[..]], vec![b"N.", b"", b"x"], vec![b"N.", &[7; 64], &[8; 65]]] {
            let stored = framed(&parts);
            let frame = split(&stored).unwrap();
            assert_eq!(frame.pickle, parts[0]);
            assert_eq!(frame.buffers, parts[1..]);
            for end in MAGIC.len()..stored.len() {
                assert!(split(&stored[..end]).is_err(), "cut off at {end}");
            }
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let mut stored = framed(&[b"N.", b"x"]);
        stored[16..24].fill(0xff);
        assert!(split(&stored).is_err());
        let mut stored = framed(&[b"N."]);
        stored[8..12].fill(0xff);
        assert!(split(&stored).is_err());
        let mut stored = framed(&[b"N."]);
        stored[12] = 1;
        assert!(split(&stored).is_err());
    }
}
