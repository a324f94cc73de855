//! An object as it is kept on a server: as it is, or compressed where [`zip`](afresh_core::zip) says so.
//!
//! Invariant: whatever [`open`] answers has the digest that it was asked for. Bytes that come from a server are believed
//! nothing before: a length that was forged allocates nothing, and what claims to be compressed and is not may still be
//! the object itself. Large objects are worked on beside the thread that serves all connections.

use std::io::{Read, Write};

use afresh_core::zip::{LEAST, LEVEL, SAMPLE, sample, worth};
use afresh_core::{Blob, Bytes, ObjectId};
use tokio::task::spawn_blocking;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

/// More bytes than this are worked on by another thread.
const LARGE: usize = 1 << 20;

/// No compressor makes more of a byte: a length beyond is what is wrong.
const MOST: u64 = 100_000;

/// An object as it is kept.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The bytes to keep.
    pub blob: Blob,
    /// Whether they are a frame of zstd.
    pub zipped: bool,
    /// How many there are before compression.
    pub len: u64,
}

/// Compresses an object if that pays.
pub async fn pack(blob: Blob) -> Packed {
    let small = blob.len() <= LARGE;
    let whole = blob.clone();
    let zipped = match small || blob.is_raw() {
        true => squeeze(&blob),
        false => spawn_blocking(move || squeeze(&whole)).await.ok().flatten(),
    };
    let len = blob.len() as u64;
    match zipped {
        Some(bytes) => Packed { blob: bytes.into(), zipped: true, len },
        None => Packed { blob, zipped: false, len },
    }
}

/// The object `id`, of the bytes that are kept for it; `zipped` is how long they say that it is where they say that
/// they are compressed. `None` where they are not that object.
pub async fn open(id: ObjectId, bytes: Bytes, zipped: Option<u64>) -> Option<Bytes> {
    let large = zipped.unwrap_or(0).max(bytes.len() as u64) > LARGE as u64;
    let work = move || {
        let plain = zipped.and_then(|len| unzip(&bytes, len));
        plain.into_iter().chain([bytes]).find(|bytes| ObjectId::of(bytes) == id)
    };
    match large {
        true => spawn_blocking(work).await.ok().flatten(),
        false => work(),
    }
}

/// What `bytes` are compressed, if they come to `len`.
pub fn unzip(bytes: &[u8], len: u64) -> Option<Bytes> {
    if len / MOST > bytes.len() as u64 {
        return None;
    }
    let mut plain = Vec::new();
    let decoder = Decoder::with_buffer(bytes).ok()?;
    decoder.take(len.checked_add(1)?).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 == len).then(|| plain.into())
}

/// How long these bytes say that they are before compression, where they begin like a frame of zstd.
pub fn claimed(bytes: &[u8]) -> Option<u64> {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(())?;
    zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten()
}

/// A frame of zstd, with the length in it; `None` where it does not pay.
fn squeeze(blob: &Blob) -> Option<Bytes> {
    let len = blob.len();
    if len < LEAST || blob.is_raw() {
        return None;
    }
    if len > SAMPLE {
        let sample = sample(blob);
        let zipped = zstd::bulk::compress(sample, LEVEL).ok()?;
        worth(zipped.len(), sample.len()).then_some(())?;
    }
    let mut zip = Encoder::new(Vec::new(), LEVEL).ok()?;
    zip.set_pledged_src_size(Some(len as u64)).ok()?;
    blob.parts().iter().try_for_each(|part| zip.write_all(part)).ok()?;
    let zipped = zip.finish().ok()?;
    worth(zipped.len(), len).then(|| zipped.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn what_pays_is_compressed_and_comes_back() {
        in_runtime(async {
            for (bytes, zipped) in [
                (vec![7; LEAST - 1], false),
                (vec![7; LEAST], true),
                (noise(5000), false),
                (vec![7; 3 * LARGE], true),
                (noise(3 * LARGE), false),
            ] {
                let blob = Blob::new(bytes.chunks(999).map(Bytes::copy_from_slice).collect());
                let (id, len) = (blob.id(), bytes.len() as u64);
                let packed = pack(blob.clone()).await;
                assert_eq!((packed.zipped, packed.len), (zipped, len));
                let kept = packed.blob.to_bytes();
                assert_eq!(claimed(&kept), zipped.then_some(len));
                let opened = open(id, kept, zipped.then_some(len)).await;
                assert!(opened.is_some_and(|opened| opened == bytes));
                let raw = pack(blob.raw()).await;
                assert!(!raw.zipped && raw.blob.to_bytes() == bytes, "wanted raw");
            }
        });
    }

    #[test]
    fn what_was_forged_is_nothing_and_takes_no_room() {
        in_runtime(async {
            let plain = vec![7; 5000];
            let id = ObjectId::of(&plain);
            let zipped = pack(plain.clone().into()).await.blob.to_bytes();
            for len in [0, 1, 4999, 5001, 100_000_000, u64::MAX] {
                assert!(unzip(&zipped, len).is_none(), "{len}");
                assert!(open(id, zipped.clone(), Some(len)).await.is_none(), "{len}");
            }
            assert!(open(id, zipped.slice(..zipped.len() / 2), Some(5000)).await.is_none());
            assert!(open(ObjectId::of(b"another"), zipped, Some(5000)).await.is_none());
            assert!(open(id, plain.into(), Some(9)).await.is_some(), "it is the object itself");
        });
    }
}
