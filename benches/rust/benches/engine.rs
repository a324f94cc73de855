//! A hit and a miss of the engine, on each store.

use std::sync::atomic::{AtomicI64, Ordering};

use afresh_benches::Bench;
use divan::{Bencher, black_box};

const STORES: [&str; 2] = ["memory", "sqlite"];
const ANSWERS: i64 = 1_000;

fn main() {
    divan::main();
}

/// Looking up answers that are there, one after the other, fingerprints at hand.
#[divan::bench(args = STORES, sample_count = 2_000)]
fn lookup_hit(bencher: Bencher<'_, '_>, store: &str) {
    let bench = Bench::new(store, ANSWERS);
    let fingerprints: Vec<_> = (0..ANSWERS).map(|n| bench.fingerprint(n)).collect();
    let mut turn = fingerprints.iter().cycle();
    bencher.bench_local(|| bench.hit(black_box(turn.next().expect("a cycle"))));
}

/// Beginning a call that has no answer and finishing it, stored.
#[divan::bench(args = STORES, sample_count = 2_000)]
fn begin_and_finish(bencher: Bencher<'_, '_>, store: &str) {
    let bench = Bench::new(store, 0);
    let next = AtomicI64::new(0);
    bencher.bench_local(|| bench.miss(next.fetch_add(1, Ordering::Relaxed)));
}
