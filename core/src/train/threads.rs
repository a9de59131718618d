//! Work shared out among threads, its results in order.

/// Elements below which another thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 16;

/// Does some work on so many threads, each a run of items that follow one
/// another; the results in order.
pub(super) fn in_order<T: Send, R: Send>(
    workers: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let n = items.len();
    let workers = workers.clamp(1, n.max(1));
    if workers == 1 {
        return items.into_iter().map(work).collect();
    }
    let mut items = items.into_iter();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..workers)
            .map(|i| {
                let count = n * (i + 1) / workers - n * i / workers;
                let own: Vec<T> = items.by_ref().take(count).collect();
                scope.spawn(move || own.into_iter().map(work).collect::<Vec<R>>())
            })
            .collect();
        let done = threads.into_iter();
        done.flat_map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    })
}

/// Runs `work` on parts of some vectors of one length, on up to `threads`
/// threads.
pub(super) fn divided<const N: usize>(
    vectors: [&mut [f32]; N],
    threads: usize,
    work: impl Fn([&mut [f32]; N]) + Sync,
) {
    let n = vectors.first().map_or(0, |v| v.len());
    let parts = threads.min(n / WORTH_A_THREAD).max(1);
    if parts == 1 {
        return work(vectors);
    }
    let mut rest = vectors;
    let own = (0..parts).map(|part| {
        let size = n * (part + 1) / parts - n * part / parts;
        rest.each_mut().map(|vector| {
            let (own, others) = std::mem::take(vector).split_at_mut(size);
            *vector = others;
            own
        })
    });
    in_order(parts, own.collect(), work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_on_several_threads_are_the_whole() {
        let n = 3 * WORTH_A_THREAD + 17;
        let mut a: Vec<f32> = (0..n).map(|i| (i % 97) as f32).collect();
        let mut b: Vec<f32> = (0..n).map(|i| (i % 89) as f32).collect();
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        divided([&mut a, &mut b], 3, |[a, b]| {
            assert!(a.len() < n);
            for (a, b) in a.iter_mut().zip(b) {
                *a += *b;
            }
        });
        assert_eq!(a, expected);
    }

    #[test]
    fn results_come_in_order() {
        for workers in [0, 1, 3, 9] {
            let squares = in_order(workers, (0..7).collect(), |i: u32| i * i);
            assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36]);
        }
    }
}
