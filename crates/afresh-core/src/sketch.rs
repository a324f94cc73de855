//! Which rows of two long sequences differ, told from a few hundred bytes kept of each.
//!
//! Every row adds its hash `h`, and `h` times its index, to one cell in each of three tables: the cell is the index
//! modulo a prime. Where two sketches differ in a cell by what one row contributes, the quotient of the differences is
//! that row's index; it is taken out of all three tables, which may leave other cells with one row. Where few rows
//! differ this ends with empty tables, and their indices are known exactly. Otherwise the number is estimated from
//! *strata*: samples of the rows, each of them a quarter as dense as the one before.
//!
//! `docs/format.md` specifies the hashes: sketches of different versions are compared. None of it protects against
//! anybody; it explains, and decides nothing.

use serde::{Deserialize, Serialize};

const INDEX: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0xd6e8_feb8_6659_fd93;
const LEVELS: usize = 10;
/// Rows worked on at once.
const BLOCK: usize = 512;
/// Above this share of differing cells a stratum says too little.
const FULL: f64 = 0.93;

/// How much a sketch keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Size {
    /// 6.6 KB: some 180 differing rows exactly, more within a tenth or so.
    Large,
    /// 2.6 KB: some 60.
    Medium,
    /// 1.3 KB: some 25.
    Small,
    /// 0.7 KB: some 10.
    Tiny,
}

impl Size {
    const fn primes(self) -> [usize; 3] {
        match self {
            Self::Large => [79, 83, 89],
            Self::Medium => [23, 29, 31],
            Self::Small => [11, 13, 17],
            Self::Tiny => [5, 7, 11],
        }
    }

    /// The cells of one stratum.
    const fn cells(self) -> usize {
        match self {
            Self::Large => 256,
            Self::Medium => 128,
            Self::Small => 64,
            Self::Tiny => 32,
        }
    }

    /// How many bytes such a sketch takes.
    pub const fn bytes(self) -> usize {
        let [a, b, c] = self.primes();
        (a + b + c) * 16 + self.cells() * LEVELS
    }
}

/// What was kept of a sequence of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    size: Size,
    /// For each cell of the three tables the sum of the hashes and that of the hashes times the indices.
    sums: Vec<u8>,
    strata: Vec<u8>,
}

/// In which rows two sequences differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// In exactly these, ascending.
    Exactly(Vec<u64>),
    /// In about as many.
    About(u64),
    /// The sketches are of different sizes.
    Unknown,
}

/// Makes a [`Sketch`] of rows that come in order.
#[derive(Clone, Debug)]
pub struct Sketcher {
    size: Size,
    next: u64,
    tables: [Table; 3],
    strata: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    hashes: Vec<u64>,
    places: Vec<u64>,
    at: usize,
}

/// Eight bytes that stand for the content of a row: a number as it is, anything longer mixed together.
pub fn content(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let last = u64::from_le_bytes(last);
    match words {
        [] => last,
        [one] if rest.is_empty() => u64::from_le_bytes(*one),
        words => {
            let seed = (bytes.len() as u64).wrapping_mul(INDEX);
            let sum = words.iter().fold(seed, |sum, word| mix(sum ^ u64::from_le_bytes(*word)));
            mix(sum ^ last)
        }
    }
}

/// The hash of a row by its place and content.
pub fn row(index: u64, content: u64) -> u64 {
    mix(content ^ index.wrapping_add(1).wrapping_mul(INDEX))
}

#[inline]
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(MIX);
    x ^ (x >> 29)
}

impl Sketcher {
    /// For a sketch of this size.
    pub fn new(size: Size) -> Self {
        let table = |len| Table { hashes: vec![0; len], places: vec![0; len], at: 0 };
        Self {
            size,
            next: 0,
            tables: size.primes().map(table),
            strata: vec![0; LEVELS * size.cells()],
        }
    }

    /// Takes the contents of the next rows.
    pub fn extend(&mut self, contents: &[u64]) {
        let (mut hashes, mut places) = ([0; BLOCK], [0; BLOCK]);
        let mask = self.size.cells() - 1;
        for block in contents.chunks(BLOCK) {
            let slots = hashes.iter_mut().zip(places.iter_mut());
            for (offset, (content, (hash, place))) in block.iter().zip(slots).enumerate() {
                let index = self.next.wrapping_add(offset as u64);
                let spread = mix(index.wrapping_add(1).wrapping_mul(INDEX));
                *hash = mix(content ^ index.wrapping_add(1).wrapping_mul(INDEX));
                *place = hash.wrapping_mul(index);
                let level = (spread.leading_zeros() as usize / 2).min(LEVELS - 1);
                let cell = level * (mask + 1) + (spread as usize & mask);
                if let Some(cell) = self.strata.get_mut(cell) {
                    *cell = cell.wrapping_add((*hash >> 32) as u8);
                }
            }
            let (hashes, places) = (hashes.get(..block.len()), places.get(..block.len()));
            let (hashes, places) = (hashes.unwrap_or_default(), places.unwrap_or_default());
            for table in &mut self.tables {
                table.add(hashes, places);
            }
            self.next = self.next.wrapping_add(block.len() as u64);
        }
    }

    /// How many rows it has taken.
    pub fn rows(&self) -> u64 {
        self.next
    }

    /// The sketch of the rows so far.
    pub fn finish(self) -> Sketch {
        let cells = self.tables.iter().flat_map(|table| table.hashes.iter().zip(&table.places));
        let sums = cells.flat_map(|(hash, place)| [hash.to_le_bytes(), place.to_le_bytes()]);
        Sketch { size: self.size, sums: sums.flatten().collect(), strata: self.strata }
    }
}

impl Table {
    /// Adds rows to the cells from where the last one was, around and around.
    fn add(&mut self, mut hashes: &[u64], mut places: &[u64]) {
        while !hashes.is_empty() {
            let run = hashes.len().min(self.hashes.len() - self.at);
            let ((now, later), (now_places, later_places)) =
                (hashes.split_at(run), places.split_at(run));
            let add = |cells: &mut [u64], values: &[u64]| {
                for (cell, value) in cells.iter_mut().zip(values) {
                    *cell = cell.wrapping_add(*value);
                }
            };
            add(self.hashes.get_mut(self.at..).unwrap_or_default(), now);
            add(self.places.get_mut(self.at..).unwrap_or_default(), now_places);
            self.at = (self.at + run) % self.hashes.len();
            (hashes, places) = (later, later_places);
        }
    }
}

impl Sketch {
    /// Whether the parts have the lengths that the size says.
    pub(crate) fn is_sound(&self) -> bool {
        let cells: usize = self.size.primes().iter().sum();
        self.sums.len() == cells * 16 && self.strata.len() == LEVELS * self.size.cells()
    }

    /// How the rows of `self` and `other` differ, where the longer has `rows`. Rows that only one has count as well.
    pub fn compare(&self, other: &Self, rows: u64) -> Changed {
        if self.size != other.size || !self.is_sound() || !other.is_sound() {
            return Changed::Unknown;
        }
        match self.peel(other, rows) {
            Some(indices) => Changed::Exactly(indices),
            None => Changed::About(self.estimate(other).min(rows)),
        }
    }

    fn cells(&self) -> impl Iterator<Item = [u64; 2]> {
        let number = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        let (pairs, _) = self.sums.as_chunks::<16>();
        pairs.iter().map(move |pair| {
            let (hash, place) = pair.split_at(8);
            [hash, place].map(|half| number(half.try_into().unwrap_or_default()))
        })
    }

    /// The differing rows, if taking them out one after the other leaves nothing.
    fn peel(&self, other: &Self, rows: u64) -> Option<Vec<u64>> {
        let pairs = self.cells().zip(other.cells());
        let mut cells: Vec<[u64; 2]> =
            pairs.map(|([a, x], [b, y])| [b.wrapping_sub(a), y.wrapping_sub(x)]).collect();
        let primes = self.size.primes();
        let mut found = Vec::new();
        loop {
            let before = found.len();
            let mut base = 0;
            for prime in primes {
                for place in 0..prime {
                    let &[hash, weighted] = cells.get(base + place)?;
                    let Some(index) = quotient(weighted, hash).filter(|index| *index < rows) else {
                        continue;
                    };
                    if index % prime as u64 != place as u64 {
                        continue;
                    }
                    let mut start = 0;
                    for prime in primes {
                        let cell = cells.get_mut(start + (index % prime as u64) as usize)?;
                        let [sum, places] = *cell;
                        *cell = [sum.wrapping_sub(hash), places.wrapping_sub(weighted)];
                        start += prime;
                    }
                    found.push(index);
                }
                base += prime;
            }
            if found.len() == before || found.len() > 2 * cells.len() {
                break;
            }
        }
        found.sort_unstable();
        let distinct = found.windows(2).all(|pair| pair.first() != pair.last());
        (distinct && cells.iter().all(|cell| *cell == [0, 0])).then_some(found)
    }

    /// About how many rows differ: linear counting in the densest strata that are not full.
    fn estimate(&self, other: &Self) -> u64 {
        let width = self.size.cells();
        let strata = self.strata.chunks(width).zip(other.strata.chunks(width));
        let shares: Vec<f64> = strata
            .map(|(a, b)| {
                let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
                differing as f64 / width as f64
            })
            .collect();
        let first = shares.iter().position(|share| *share <= FULL).unwrap_or(LEVELS - 1);
        let counted = shares.iter().skip(first);
        let sum: f64 = counted.map(|share| -(1.0 - share.min(0.999)).ln() * width as f64).sum();
        (sum * 4_f64.powi(i32::try_from(first).unwrap_or(0))).round() as u64
    }
}

/// The number that times `divisor` is `product`, modulo a power of two that is large enough for an index.
fn quotient(product: u64, divisor: u64) -> Option<u64> {
    let twos = divisor.trailing_zeros();
    if twos > 16 || product.trailing_zeros() < twos {
        return None;
    }
    let odd = divisor >> twos;
    // Newton: each step doubles the number of right bits, of which an odd number has three to begin with.
    let inverse = (0..5).fold(odd, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)))
    });
    Some((product >> twos).wrapping_mul(inverse) & (u64::MAX >> twos))
}
