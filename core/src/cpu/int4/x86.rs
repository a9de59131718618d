//! x86: AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_ps,
};

use super::{Job, Kernel, STEPS};

const ROWS: usize = 6;
const COLUMNS: usize = 16;

static AVX2: Kernel = Kernel {
    name: "AVX2, 4 bits",
    rows: ROWS,
    columns: COLUMNS,
    sums: 1 << 12,
    product: avx2,
};

pub(super) fn kernel() -> Option<&'static Kernel> {
    is_x86_feature_detected!("avx2").then_some(&AVX2)
}

#[target_feature(enable = "avx2")]
fn avx2(job: &Job<'_>, sums: &mut [f32]) {
    let (weights, scales) = (job.groups * STEPS * COLUMNS * 4, job.groups * COLUMNS);
    let (words, starts) = (job.groups * STEPS * ROWS, job.groups * ROWS);
    let mut sums = sums.chunks_exact_mut(ROWS * COLUMNS);
    for panel in 0..job.panels {
        let weights = &job.weights[panel * weights..(panel + 1) * weights];
        let scales = &job.scales[panel * scales..(panel + 1) * scales];
        for (t, sums) in (0..job.tiles).zip(&mut sums) {
            let words = &job.words[t * words..(t + 1) * words];
            let starts = &job.starts[t * starts..(t + 1) * starts];
            // SAFETY: each is as long as its name's product above.
            unsafe {
                tile(
                    job.groups,
                    [words.as_ptr(), starts.as_ptr()],
                    weights.as_ptr(),
                    scales.as_ptr(),
                    sums.as_mut_ptr(),
                );
            }
        }
    }
}

/// Sums one tile.
///
/// # Safety
/// The pointers must be to as many elements as `groups` groups take.
#[target_feature(enable = "avx2")]
unsafe fn tile(
    groups: usize,
    [mut x, mut starts]: [*const u32; 2],
    mut w: *const u8,
    mut scales: *const f32,
    sums: *mut f32,
) {
    for group in 0..groups {
        let mut acc: [[__m256i; 2]; ROWS] = [[_mm256_setzero_si256(); 2]; ROWS];
        // SAFETY: this group is below `groups`.
        unsafe {
            for (r, acc) in acc.iter_mut().enumerate() {
                *acc = [_mm256_set1_epi32((*starts.add(r)).cast_signed()); 2];
            }
            for _ in 0..STEPS {
                let left = _mm256_loadu_si256(w.cast());
                let right = _mm256_loadu_si256(w.add(32).cast());
                for (r, acc) in acc.iter_mut().enumerate() {
                    let four = _mm256_set1_epi32((*x.add(r)).cast_signed());
                    acc[0] = _mm256_add_epi16(acc[0], _mm256_maddubs_epi16(left, four));
                    acc[1] = _mm256_add_epi16(acc[1], _mm256_maddubs_epi16(right, four));
                }
                x = x.add(ROWS);
                w = w.add(4 * COLUMNS);
            }
            let factors = [0, 8].map(|half| _mm256_loadu_ps(scales.add(half)));
            for (r, acc) in acc.iter().enumerate() {
                for (half, acc) in acc.iter().enumerate() {
                    let whole = _mm256_madd_epi16(*acc, _mm256_set1_epi16(1));
                    let mut value = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), factors[half]);
                    // Totals lie in memory: there are too few registers for
                    // them beside the accumulators.
                    let to = sums.add(r * COLUMNS + 8 * half);
                    if group > 0 {
                        value = _mm256_add_ps(_mm256_loadu_ps(to), value);
                    }
                    _mm256_storeu_ps(to, value);
                }
            }
            starts = starts.add(ROWS);
            scales = scales.add(COLUMNS);
        }
    }
}
