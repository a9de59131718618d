//! x86: AVX-512 VNNI, AVX-VNNI and AVX2.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16,
    _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::{Form, Job, Kernel};
use crate::gemm::ViewMut;

/// Those that this processor has, the fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernel> {
    let avx2 = is_x86_feature_detected!("avx2");
    let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
    [
        (&AVX512_VNNI, avx512),
        (&AVX_VNNI, avx2 && is_x86_feature_detected!("avxvnni")),
        (&AVX2, avx2),
    ]
    .into_iter()
    .filter_map(|(kernel, there)| there.then_some(kernel))
}

static AVX512_VNNI: Kernel = Kernel {
    name: "AVX-512 VNNI",
    form: Form {
        rows: 12,
        step: 4,
        offset: 128,
    },
    columns: 32,
    product: avx512_vnni,
};

static AVX_VNNI: Kernel = Kernel {
    name: "AVX-VNNI",
    form: Form {
        rows: 6,
        step: 4,
        offset: 128,
    },
    columns: 16,
    product: avx_vnni,
};

static AVX2: Kernel = Kernel {
    name: "AVX2",
    form: Form {
        rows: 6,
        step: 2,
        offset: 0,
    },
    columns: 16,
    product: avx2,
};

#[target_feature(enable = "avx512f,avx512vnni")]
fn avx512_vnni(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let steps = job.steps;
    // SAFETY: `run` hands out pointers to as many elements as are read: 12
    // words and 128 bytes a step; a row of sums has room for two vectors.
    unsafe {
        job.run::<12, 32, _>(c, <[i8]>::as_ptr, |mut x, mut w, sums| {
            let mut acc: [[__m512i; 2]; 12] = [[_mm512_setzero_si512(); 2]; 12];
            for _ in 0..steps {
                let left = _mm512_loadu_si512(w.cast());
                let right = _mm512_loadu_si512(w.add(64).cast());
                for (r, acc) in acc.iter_mut().enumerate() {
                    let four = _mm512_set1_epi32((*x.add(r)).cast_signed());
                    acc[0] = _mm512_dpbusd_epi32(acc[0], four, left);
                    acc[1] = _mm512_dpbusd_epi32(acc[1], four, right);
                }
                x = x.add(12);
                w = w.add(128);
            }
            for (sums, acc) in sums.iter_mut().zip(acc) {
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), acc[0]);
                _mm512_storeu_si512(sums.as_mut_ptr().add(16).cast(), acc[1]);
            }
        });
    }
}

#[target_feature(enable = "avx2,avxvnni")]
fn avx_vnni(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let steps = job.steps;
    // SAFETY: as above, with 6 words and 64 bytes a step.
    unsafe {
        job.run::<6, 16, _>(c, <[i8]>::as_ptr, |mut x, mut w, sums| {
            let mut acc: [[__m256i; 2]; 6] = [[_mm256_setzero_si256(); 2]; 6];
            for _ in 0..steps {
                let left = _mm256_loadu_si256(w.cast());
                let right = _mm256_loadu_si256(w.add(32).cast());
                for (r, acc) in acc.iter_mut().enumerate() {
                    let four = _mm256_set1_epi32((*x.add(r)).cast_signed());
                    acc[0] = _mm256_dpbusd_avx_epi32(acc[0], four, left);
                    acc[1] = _mm256_dpbusd_avx_epi32(acc[1], four, right);
                }
                x = x.add(6);
                w = w.add(64);
            }
            store(&acc, sums);
        });
    }
}

#[target_feature(enable = "avx2")]
fn avx2(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let steps = job.steps;
    // SAFETY: as above, with 6 words and 32 bytes a step.
    unsafe {
        job.run::<6, 16, _>(c, <[i8]>::as_ptr, |mut x, mut w, sums| {
            let mut acc: [[__m256i; 2]; 6] = [[_mm256_setzero_si256(); 2]; 6];
            for _ in 0..steps {
                let left = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.cast()));
                let right = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(16).cast()));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let pair = _mm256_set1_epi32((*x.add(r)).cast_signed());
                    acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(pair, left));
                    acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(pair, right));
                }
                x = x.add(6);
                w = w.add(32);
            }
            store(&acc, sums);
        });
    }
}

#[target_feature(enable = "avx2")]
fn store(acc: &[[__m256i; 2]; 6], sums: &mut [[i32; 16]; 6]) {
    for (sums, acc) in sums.iter_mut().zip(acc) {
        // SAFETY: a row of sums has room for two vectors.
        unsafe {
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), acc[0]);
            _mm256_storeu_si256(sums.as_mut_ptr().add(8).cast(), acc[1]);
        }
    }
}
