//! Matrix products of operands rounded to bf16, summed in f32: what training
//! in mixed precision multiplies with.
//!
//! Both operands are first brought into strips of pairs, the form in which
//! processors with AVX-512 BF16 multiply; elsewhere the same products are
//! summed by plain f32 arithmetic.

#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::simd::simd;
use crate::gemm::{View, ViewMut};

/// Rows of a tile of results.
const ROWS: usize = 12;
/// Its columns.
const COLUMNS: usize = 32;
/// Channels that are packed at a time: both operands' strips of so many stay
/// in the cache while they are multiplied.
const DEPTH: usize = 1024;

/// Sums a tile: `steps` pairs of each of [`ROWS`] rows and [`COLUMNS`] columns.
///
/// # Safety
/// The processor has what the function needs; the pointers reach `steps ·
/// ROWS` and `steps · COLUMNS` pairs.
type Tile = unsafe fn(*const u32, *const u32, usize, &mut [[f32; COLUMNS]; ROWS]);

/// The fastest that this processor has.
fn tile() -> Tile {
    #[cfg(target_arch = "x86_64")]
    if x86::there() {
        return x86::tile;
    }
    portable
}

/// Whether the processor multiplies bf16 by itself; elsewhere it is slower
/// than f32.
#[must_use]
pub fn native_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::there();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Vectors of one length in strips of `LANES` side by side: word `[strip,
/// step, lane]` holds the elements `2 step` and `2 step + 1` of a vector,
/// the first in the low half, zero beyond the vectors.
#[derive(Debug, Default)]
struct Strips<const LANES: usize> {
    words: Vec<u32>,
    count: usize,
    depth: usize,
}

impl<const LANES: usize> Strips<LANES> {
    /// Takes `count` vectors of `depth` elements: element `k` of vector `i` is
    /// `data[i * across + k * along]`.
    fn pack(
        &mut self,
        [count, depth]: [usize; 2],
        data: &[f32],
        [across, along]: [usize; 2],
    ) -> &Self {
        let steps = depth.div_ceil(2);
        let size = count.div_ceil(LANES) * steps * LANES;
        self.words.resize(size, 0);
        (self.count, self.depth) = (count, depth);
        if size == 0 {
            return self;
        }
        assert!(
            data.len() > (count - 1) * across + (depth - 1) * along,
            "bf16 product: an operand is too short"
        );
        let strips = self.words.chunks_exact_mut(steps * LANES);
        for (strip, words) in strips.enumerate() {
            let lanes = LANES.min(count - strip * LANES);
            if lanes < LANES {
                words.fill(0);
            }
            let data = &data[strip * LANES * across..];
            if across == 1 {
                if LANES == ROWS {
                    rows_across(words, lanes, depth, data, along);
                } else {
                    columns_across(words, lanes, depth, data, along);
                }
            } else if along == 1 {
                for lane in 0..lanes {
                    let vector = &data[lane * across..lane * across + depth];
                    scatter(&mut words[lane..], LANES, vector);
                }
            } else {
                for lane in 0..lanes {
                    let vector = &data[lane * across..];
                    let to = words[lane..].iter_mut().step_by(LANES);
                    for (step, word) in to.enumerate() {
                        let second = vector.get((2 * step + 1) * along).copied();
                        let second = second.filter(|_| 2 * step + 1 < depth);
                        *word = pair(vector[2 * step * along], second.unwrap_or(0.0));
                    }
                }
            }
        }
        self
    }
}

/// The 16 bits of the nearest bf16, ties to even; what is no number stays
/// none.
#[inline(always)]
fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could carry a NaN into infinity or a zero.
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        (bits >> 16) | 0x40
    } else {
        rounded
    }
}

#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    bf16(first) | bf16(second) << 16
}

simd! {
/// [`pack_across`] for left operands.
fn rows_across(words: &mut [u32], lanes: usize, depth: usize, data: &[f32], along: usize) {
    pack_across::<ROWS>(words, lanes, depth, data, along);
}
}

simd! {
/// [`pack_across`] for right operands.
fn columns_across(words: &mut [u32], lanes: usize, depth: usize, data: &[f32], along: usize) {
    pack_across::<COLUMNS>(words, lanes, depth, data, along);
}
}

/// Vectors that lie side by side: a step's lanes are neighbours.
#[inline(always)]
fn pack_across<const LANES: usize>(
    words: &mut [u32],
    lanes: usize,
    depth: usize,
    data: &[f32],
    along: usize,
) {
    let zeros = [0.0; LANES];
    for (step, words) in words.chunks_exact_mut(LANES).enumerate() {
        let first = &data[2 * step * along..][..lanes];
        let second = if 2 * step + 1 < depth {
            &data[(2 * step + 1) * along..][..lanes]
        } else {
            &zeros[..lanes]
        };
        // Of a known length where that is possible: no loop is left of it.
        let whole: (Result<&[f32; LANES], _>, Result<&[f32; LANES], _>) =
            (first.try_into(), second.try_into());
        if let (Ok(first), Ok(second)) = whole {
            for ((word, &first), &second) in words.iter_mut().zip(first).zip(second) {
                *word = pair(first, second);
            }
        } else {
            for ((word, &first), &second) in words.iter_mut().zip(first).zip(second) {
                *word = pair(first, second);
            }
        }
    }
}

simd! {
/// One vector into its lane.
fn scatter(words: &mut [u32], lanes: usize, vector: &[f32]) {
    let mut buffer = [0u32; 32];
    let mut at = 0;
    for part in vector.chunks(64) {
        let whole = part.chunks_exact(2);
        let rest = whole.remainder();
        let count = part.len().div_ceil(2);
        for (to, two) in buffer.iter_mut().zip(whole) {
            *to = pair(two[0], two[1]);
        }
        if let [last] = rest {
            buffer[count - 1] = pair(*last, 0.0);
        }
        for &word in &buffer[..count] {
            words[at] = word;
            at += lanes;
        }
    }
}
}

/// Operands of a product, buffers that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Operands {
    left: Strips<ROWS>,
    right: Strips<COLUMNS>,
}

/// A matrix `[depth, columns]` packed once, to stand on the right of many
/// products.
#[derive(Debug)]
pub(super) struct Packed(Strips<COLUMNS>);

impl Packed {
    /// Packs the matrix that a view shows.
    pub(super) fn new([depth, columns]: [usize; 2], matrix: View<'_>) -> Self {
        let mut strips = Strips::default();
        strips.pack([columns, depth], matrix.data, [matrix.col, matrix.row]);
        Self(strips)
    }

    /// `c[m, columns] = beta · c + a[m, depth] · self`, `beta` 0 or 1.
    pub(super) fn multiply(
        &self,
        m: usize,
        a: View<'_>,
        beta: f32,
        mut c: ViewMut<'_>,
        operands: &mut Operands,
    ) {
        let left = &mut operands.left;
        left.pack([m, self.0.depth], a.data, [a.row, a.col]);
        product(left, &self.0, beta != 0.0, &mut c);
    }
}

/// `c[m, n] += a[m, k] · b[k, n]`.
pub(super) fn add_product(
    (m, k, n): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    mut c: ViewMut<'_>,
    Operands { left, right }: &mut Operands,
) {
    for from in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - from);
        left.pack([m, depth], &a.data[from * a.col..], [a.row, a.col]);
        right.pack([n, depth], &b.data[from * b.row..], [b.col, b.row]);
        product(left, right, true, &mut c);
    }
}

/// Multiplies packed operands. A few tiles of the left one stay in the nearest
/// cache while the right one's strips pass.
fn product(left: &Strips<ROWS>, right: &Strips<COLUMNS>, add: bool, c: &mut ViewMut<'_>) {
    /// Tiles of rows that share a pass over the right operand.
    const GROUP: usize = 32;
    let (m, n) = (left.count, right.count);
    if m == 0 || n == 0 {
        return;
    }
    assert_eq!(left.depth, right.depth);
    assert!(
        c.data.len() > (m - 1) * c.row + (n - 1) * c.col,
        "bf16 product: c is too short"
    );
    let steps = left.depth.div_ceil(2);
    let tile = tile();
    let mut sums = [[0.0; COLUMNS]; ROWS];
    let tiles = m.div_ceil(ROWS);
    for group in (0..tiles).step_by(GROUP) {
        for (panel, columns) in right.words.chunks_exact(steps * COLUMNS).enumerate() {
            for t in group..tiles.min(group + GROUP) {
                let rows = &left.words[t * steps * ROWS..][..steps * ROWS];
                // SAFETY: `tile` is only what the processor has; both strips
                // are as long as it says.
                unsafe { tile(rows.as_ptr(), columns.as_ptr(), steps, &mut sums) };
                store(&sums, [t * ROWS, panel * COLUMNS], [m, n], add, c);
            }
        }
    }
}

/// Puts a tile of results where it belongs.
#[inline]
fn store(
    sums: &[[f32; COLUMNS]; ROWS],
    [row, column]: [usize; 2],
    [m, n]: [usize; 2],
    add: bool,
    c: &mut ViewMut<'_>,
) {
    let (rows, columns) = (ROWS.min(m - row), COLUMNS.min(n - column));
    let start = row * c.row + column * c.col;
    if c.col == 1 {
        store_rows(&sums[..rows], columns, &mut c.data[start..], c.row, add);
        return;
    }
    for j in 0..columns {
        let to = c.data[start + j * c.col..].iter_mut().step_by(c.row);
        for (to, sums) in to.zip(&sums[..rows]) {
            *to = if add { *to + sums[j] } else { sums[j] };
        }
    }
}

simd! {
/// Rows of results side by side, `stride` apart.
fn store_rows(
    sums: &[[f32; COLUMNS]],
    columns: usize,
    data: &mut [f32],
    stride: usize,
    add: bool,
) {
    for (r, sums) in sums.iter().enumerate() {
        let to = &mut data[r * stride..][..columns];
        // Of a known length where that is possible: no loop is left of it.
        if let Ok(to) = <&mut [f32; COLUMNS]>::try_from(&mut *to) {
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = if add { *to + sum } else { *sum };
            }
        } else {
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = if add { *to + sum } else { *sum };
            }
        }
    }
}
}

/// For any processor.
///
/// # Safety
/// See [`Tile`].
unsafe fn portable(
    left: *const u32,
    right: *const u32,
    steps: usize,
    sums: &mut [[f32; COLUMNS]; ROWS],
) {
    // SAFETY: so long by the caller's word.
    let (left, right) = unsafe {
        (
            std::slice::from_raw_parts(left, steps * ROWS),
            std::slice::from_raw_parts(right, steps * COLUMNS),
        )
    };
    plain(left, right, sums);
}

simd! {
fn plain(left: &[u32], right: &[u32], sums: &mut [[f32; COLUMNS]; ROWS]) {
    *sums = [[0.0; COLUMNS]; ROWS];
    for (rows, columns) in left.chunks_exact(ROWS).zip(right.chunks_exact(COLUMNS)) {
        let mut low = [0.0; COLUMNS];
        let mut high = [0.0; COLUMNS];
        for ((low, high), &word) in low.iter_mut().zip(&mut high).zip(columns) {
            *low = f32::from_bits(word << 16);
            *high = f32::from_bits(word & 0xffff_0000);
        }
        for (sums, &word) in sums.iter_mut().zip(rows) {
            let (first, second) = (f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000));
            for ((sum, low), high) in sums.iter_mut().zip(&low).zip(&high) {
                *sum += first * low + second * high;
            }
        }
    }
}
}
