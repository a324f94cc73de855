//! The digest `fp1`: of a small call, and of bytes in bulk.

use afresh::fp1;
use afresh_benches::Bench;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// One integer, as in `f(7)`.
#[divan::bench]
fn argument() -> afresh::Argument {
    Bench::argument(black_box(7))
}

/// Function, name and argument to the key of a look-up.
#[divan::bench]
fn fingerprint(bencher: Bencher<'_, '_>) {
    let bench = Bench::new("memory", 0);
    bencher.bench(|| bench.fingerprint(black_box(7)));
}

/// Bytes on one thread.
#[divan::bench(args = [1 << 10, 1 << 20, 100_000_000])]
fn bytes(bencher: Bencher<'_, '_>, size: usize) {
    let data = vec![7_u8; size];
    bencher.counter(BytesCount::new(size)).bench(|| {
        let mut encoder = fp1::Encoder::new();
        encoder.bytes(black_box(&data));
        encoder.finish()
    });
}

/// A list of small integers: what walking costs.
#[divan::bench(args = [10, 10_000])]
fn list_of_ints(bencher: Bencher<'_, '_>, len: usize) {
    bencher.bench(|| {
        let mut encoder = fp1::Encoder::new();
        encoder.list(len);
        for n in 0..len {
            encoder.int(n as i64);
        }
        encoder.finish()
    });
}
