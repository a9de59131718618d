//! Vectors of the processor, so that a kernel is written once for all of them.
//!
//! A kernel is generic over [`Lanes`] and `inline(always)`; a function with the
//! target's features calls it, chosen by [`Width::best`]. Products are fused
//! with sums where the processor can, so widths differ by rounding.

/// A vector type of some processor.
///
/// # Safety
/// Every function needs what the processor of the type has; pointers reach
/// [`Lanes::COUNT`] elements.
pub(super) trait Lanes: Copy {
    /// Elements of a vector.
    const COUNT: usize;
    /// A vector.
    type V: Copy;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` where `a < b`, elsewhere 0.
    unsafe fn where_less(a: Self::V, b: Self::V, x: Self::V) -> Self::V;
    /// Sum of the elements.
    unsafe fn sum(v: Self::V) -> f32;
    /// `p * 2^k` for whole numbers `k` from -126 to 127, given as
    /// [`ROUND`]` + k`.
    unsafe fn scale(p: Self::V, rounded: Self::V) -> Self::V;

    /// `e^x`, of `x` clamped to ±87.
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        // SAFETY: by the caller's word.
        unsafe {
            let c = |x: f32| Self::splat(x);
            let x = Self::min(Self::max(x, c(-87.0)), c(87.0));
            let rounded = Self::fma(x, c(std::f32::consts::LOG2_E), c(ROUND));
            let k = Self::sub(rounded, c(ROUND));
            // ln2 in two parts, the first exact in few bits (Cody and Waite).
            let r = Self::fma(k, c(-0.693_359_4), x);
            let r = Self::fma(k, c(2.121_944_4e-4), r);
            // Minimax polynomial of degree 6 on the reduced range.
            let p = Self::fma(c(1.988_536_6e-4), r, c(1.398_287_7e-3));
            let p = Self::fma(p, r, c(8.333_683e-3));
            let p = Self::fma(p, r, c(4.166_573_6e-2));
            let p = Self::fma(p, r, c(1.666_666_5e-1));
            let p = Self::fma(p, r, c(5.000_000_3e-1));
            let y = Self::fma(Self::mul(p, r), r, Self::add(r, c(1.0)));
            Self::scale(y, rounded)
        }
    }

    /// `1 / (1 + e^-x)`.
    #[inline(always)]
    unsafe fn sigmoid(x: Self::V) -> Self::V {
        // SAFETY: by the caller's word.
        unsafe {
            let one = Self::splat(1.0);
            let e = Self::exp(Self::sub(Self::splat(0.0), x));
            Self::div(one, Self::add(one, e))
        }
    }
}

/// Added to a number of moderate size it leaves the nearest whole number in
/// the low bits; without an instruction that not every processor has.
pub(super) const ROUND: f32 = 12_582_912.0;

/// One number: any processor.
#[derive(Clone, Copy)]
pub(super) struct One;

impl Lanes for One {
    const COUNT: usize = 1;
    type V = f32;

    #[inline(always)]
    unsafe fn splat(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> f32 {
        // SAFETY: by the caller's word.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: f32) {
        // SAFETY: by the caller's word.
        unsafe { *to = v }
    }
    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    unsafe fn sub(a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    unsafe fn mul(a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    unsafe fn div(a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    unsafe fn min(a: f32, b: f32) -> f32 {
        a.min(b)
    }
    #[inline(always)]
    unsafe fn max(a: f32, b: f32) -> f32 {
        a.max(b)
    }
    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    #[inline(always)]
    unsafe fn where_less(a: f32, b: f32, x: f32) -> f32 {
        if a < b { x } else { 0.0 }
    }
    #[inline(always)]
    unsafe fn sum(v: f32) -> f32 {
        v
    }
    #[inline(always)]
    unsafe fn scale(p: f32, rounded: f32) -> f32 {
        let k = rounded.to_bits().wrapping_sub(ROUND.to_bits());
        p * f32::from_bits(k.wrapping_add(127) << 23)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! AVX-512 and AVX2.

    use std::arch::x86_64::{
        __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps,
        _mm256_add_epi32, _mm256_add_ps, _mm256_castps_si256, _mm256_castps256_ps128,
        _mm256_castsi256_ps, _mm256_div_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_epi32, _mm256_sub_ps,
        _mm512_add_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
        _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_scalef_ps, _mm512_set1_ps,
        _mm512_storeu_ps, _mm512_sub_ps,
    };

    use std::arch::x86_64::{
        _CMP_LT_OQ, _mm256_and_ps, _mm256_cmp_ps, _mm512_cmp_ps_mask, _mm512_maskz_mov_ps,
    };

    use super::{Lanes, ROUND};

    /// Sixteen numbers: AVX-512.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Sixteen;

    // SAFETY, of all of it: by the caller's word the processor has AVX-512 and
    // pointers reach sixteen elements.
    #[rustfmt::skip]
    impl Lanes for Sixteen {
        const COUNT: usize = 16;
        type V = __m512;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 { unsafe { _mm512_set1_ps(x) } }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 { unsafe { _mm512_loadu_ps(from) } }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m512) { unsafe { _mm512_storeu_ps(to, v) } }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_add_ps(a, b) } }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_sub_ps(a, b) } }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_mul_ps(a, b) } }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_div_ps(a, b) } }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_min_ps(a, b) } }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 { unsafe { _mm512_max_ps(a, b) } }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn where_less(a: __m512, b: __m512, x: __m512) -> __m512 {
            unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), x) }
        }
        #[inline(always)]
        unsafe fn sum(v: __m512) -> f32 { unsafe { _mm512_reduce_add_ps(v) } }
        #[inline(always)]
        unsafe fn scale(p: __m512, rounded: __m512) -> __m512 {
            unsafe { _mm512_scalef_ps(p, _mm512_sub_ps(rounded, _mm512_set1_ps(ROUND))) }
        }
    }

    /// Eight numbers: AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Eight;

    // SAFETY, of all of it: by the caller's word the processor has AVX2 and FMA
    // and pointers reach eight elements.
    #[rustfmt::skip]
    impl Lanes for Eight {
        const COUNT: usize = 8;
        type V = __m256;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 { unsafe { _mm256_set1_ps(x) } }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 { unsafe { _mm256_loadu_ps(from) } }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m256) { unsafe { _mm256_storeu_ps(to, v) } }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_add_ps(a, b) } }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_sub_ps(a, b) } }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_mul_ps(a, b) } }
        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_div_ps(a, b) } }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_min_ps(a, b) } }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 { unsafe { _mm256_max_ps(a, b) } }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn where_less(a: __m256, b: __m256, x: __m256) -> __m256 {
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(a, b), x) }
        }
        #[inline(always)]
        unsafe fn sum(v: __m256) -> f32 {
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
        #[inline(always)]
        unsafe fn scale(p: __m256, rounded: __m256) -> __m256 {
            unsafe {
                let bias = _mm256_set1_epi32(ROUND.to_bits().cast_signed());
                let k = _mm256_sub_epi32(_mm256_castps_si256(rounded), bias);
                let k = _mm256_add_epi32(k, _mm256_set1_epi32(127));
                _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(k)))
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub(super) mod wasm {
    //! WebAssembly's 128-bit vectors.

    use std::arch::wasm32::{
        f32x4_add, f32x4_div, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_pmin, f32x4_splat,
        f32x4_sub, i32x4_add, i32x4_shl, i32x4_splat, i32x4_sub, v128, v128_load, v128_store,
    };

    use super::{Lanes, ROUND};

    /// Four numbers.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Four;

    // SAFETY, of all of it: pointers reach four elements by the caller's word.
    #[rustfmt::skip]
    impl Lanes for Four {
        const COUNT: usize = 4;
        type V = v128;

        #[inline(always)]
        unsafe fn splat(x: f32) -> v128 { f32x4_splat(x) }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> v128 { unsafe { v128_load(from.cast()) } }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: v128) { unsafe { v128_store(to.cast(), v) } }
        #[inline(always)]
        unsafe fn add(a: v128, b: v128) -> v128 { f32x4_add(a, b) }
        #[inline(always)]
        unsafe fn sub(a: v128, b: v128) -> v128 { f32x4_sub(a, b) }
        #[inline(always)]
        unsafe fn mul(a: v128, b: v128) -> v128 { f32x4_mul(a, b) }
        #[inline(always)]
        unsafe fn div(a: v128, b: v128) -> v128 { f32x4_div(a, b) }
        #[inline(always)]
        unsafe fn min(a: v128, b: v128) -> v128 { f32x4_pmin(a, b) }
        #[inline(always)]
        unsafe fn max(a: v128, b: v128) -> v128 { f32x4_pmax(a, b) }
        #[inline(always)]
        unsafe fn fma(a: v128, b: v128, c: v128) -> v128 { f32x4_add(f32x4_mul(a, b), c) }
        #[inline(always)]
        unsafe fn where_less(a: v128, b: v128, x: v128) -> v128 { std::arch::wasm32::v128_and(std::arch::wasm32::f32x4_lt(a, b), x) }
        #[inline(always)]
        unsafe fn sum(v: v128) -> f32 {
            (f32x4_extract_lane::<0>(v) + f32x4_extract_lane::<1>(v))
                + (f32x4_extract_lane::<2>(v) + f32x4_extract_lane::<3>(v))
        }
        #[inline(always)]
        unsafe fn scale(p: v128, rounded: v128) -> v128 {
            let bias = i32x4_splat(ROUND.to_bits().cast_signed());
            let k = i32x4_add(i32x4_sub(rounded, bias), i32x4_splat(127));
            f32x4_mul(p, i32x4_shl(k, 23))
        }
    }
}

/// The vectors that a kernel uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// One number at a time.
    One,
    /// WebAssembly's 128 bits.
    #[cfg(target_arch = "wasm32")]
    Four,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Eight,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Sixteen,
}

impl Width {
    /// Every width that this processor has, the widest first.
    pub(super) fn all() -> Vec<Self> {
        let widths = [
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen,
            #[cfg(target_arch = "x86_64")]
            Self::Eight,
            #[cfg(target_arch = "wasm32")]
            Self::Four,
            Self::One,
        ];
        widths.into_iter().filter(|w| w.is_there()).collect()
    }

    /// Whether this processor has it.
    fn is_there(self) -> bool {
        match self {
            Self::One => true,
            #[cfg(target_arch = "wasm32")]
            Self::Four => true,
            #[cfg(target_arch = "x86_64")]
            Self::Eight => {
                std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen => std::is_x86_feature_detected!("avx512f"),
        }
    }

    /// Elements of a vector.
    pub(super) fn count(self) -> usize {
        match self {
            Self::One => 1,
            #[cfg(target_arch = "wasm32")]
            Self::Four => 4,
            #[cfg(target_arch = "x86_64")]
            Self::Eight => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen => 16,
        }
    }

    /// The widest that the processor has of which all these lengths are
    /// multiples.
    pub(super) fn best(lengths: &[usize]) -> Self {
        let fits = |w: &Self| lengths.iter().all(|n| n.is_multiple_of(w.count()));
        Self::all().into_iter().find(fits).unwrap_or(Self::One)
    }

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "f32",
            #[cfg(target_arch = "wasm32")]
            Self::Four => "f32, SIMD128",
            #[cfg(target_arch = "x86_64")]
            Self::Eight => "f32, AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen => "f32, AVX-512",
        }
    }
}

/// Calls a kernel that is generic over [`Lanes`] for a [`Width`]. The kernel
/// is an `unsafe fn` of one argument, `inline(always)`.
macro_rules! with_lanes {
    ($width:expr, $kernel:ident, $argument:expr, $kind:ty) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn sixteen(argument: $kind) {
            // SAFETY: by the caller's word.
            unsafe { $kernel::<$crate::cpu::lanes::x86::Sixteen>(argument) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn eight(argument: $kind) {
            // SAFETY: by the caller's word.
            unsafe { $kernel::<$crate::cpu::lanes::x86::Eight>(argument) }
        }
        match $width {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::lanes::Width::Sixteen => sixteen($argument),
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::lanes::Width::Eight => eight($argument),
            #[cfg(target_arch = "wasm32")]
            $crate::cpu::lanes::Width::Four => $kernel::<$crate::cpu::lanes::wasm::Four>($argument),
            $crate::cpu::lanes::Width::One => $kernel::<$crate::cpu::lanes::One>($argument),
        }
    }};
}
pub(super) use with_lanes;

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    unsafe fn table<L: Lanes>([xs, exps, sigmoids]: [&mut [f32]; 3]) {
        for i in (0..xs.len()).step_by(L::COUNT) {
            // SAFETY: the lengths are multiples of every width.
            unsafe {
                let x = L::load(xs[i..].as_ptr());
                L::store(exps[i..].as_mut_ptr(), L::exp(x));
                L::store(sigmoids[i..].as_mut_ptr(), L::sigmoid(x));
            }
        }
    }

    #[test]
    fn every_width_computes_exp_and_sigmoid() {
        let mut xs: Vec<f32> = (-2176..2176).map(|i| i as f32 * 0.039_9).collect();
        for width in Width::all() {
            let (mut exps, mut sigmoids) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
            // SAFETY: the processor has the width.
            unsafe {
                with_lanes!(
                    width,
                    table,
                    [&mut xs, &mut exps, &mut sigmoids],
                    [&mut [f32]; 3]
                );
            }
            for ((&x, &exp), &sigmoid) in xs.iter().zip(&exps).zip(&sigmoids) {
                let want = f64::from(x).exp();
                assert!((f64::from(exp) / want - 1.0).abs() < 5e-7, "{width:?} {x}");
                let want = 1.0 / (1.0 + (-f64::from(x)).exp());
                assert!((f64::from(sigmoid) - want).abs() < 3e-7, "{width:?} {x}");
            }
        }
    }
}
