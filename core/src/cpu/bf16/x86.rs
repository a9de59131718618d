//! AVX-512 BF16: a dot product of pairs in every lane.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{COLUMNS, ROWS};

/// Whether the processor has it.
pub(super) fn there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// 24 sums in registers, two vectors of columns, one of a row's pair.
///
/// # Safety
/// See [`super::Tile`].
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn tile(
    mut left: *const u32,
    mut right: *const u32,
    steps: usize,
    sums: &mut [[f32; COLUMNS]; ROWS],
) {
    let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
    for _ in 0..steps {
        // SAFETY: the caller's word for `steps` times so many pairs.
        let columns = unsafe {
            [
                bits(_mm512_loadu_si512(right.cast())),
                bits(_mm512_loadu_si512(right.add(16).cast())),
            ]
        };
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: as above.
            let row = bits(_mm512_set1_epi32(unsafe { *left.add(r) }.cast_signed()));
            acc[0] = _mm512_dpbf16_ps(acc[0], row, columns[0]);
            acc[1] = _mm512_dpbf16_ps(acc[1], row, columns[1]);
        }
        // SAFETY: at most one past the end, after the last step.
        unsafe {
            left = left.add(ROWS);
            right = right.add(COLUMNS);
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        // SAFETY: a row of sums has room for two vectors.
        unsafe {
            _mm512_storeu_ps(sums.as_mut_ptr(), acc[0]);
            _mm512_storeu_ps(sums.as_mut_ptr().add(16), acc[1]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bits(vector: __m512i) -> __m512bh {
    // SAFETY: 512 bits as 512 bits.
    unsafe { std::mem::transmute(vector) }
}
