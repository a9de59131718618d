//! Time of the exact solver per puzzle, proof of uniqueness included.
//!
//! `HRM_BENCH_PUZZLES=FILE cargo bench -p hrm-core --features data --bench solver`
//! takes the puzzles of a CSV file (plain or gzip); without the variable, generated
//! ones of every shape.

#![allow(missing_docs)] // Criterion's macro makes a public function without any.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hrm_core::puzzle::{Board, GeneratorOptions, Shape, dataset, generate, solve};

/// Name of each set and its puzzles.
fn sets() -> Vec<(String, Vec<Board>)> {
    match std::env::var("HRM_BENCH_PUZZLES") {
        Ok(file) => match dataset::read_file(Path::new(&file)) {
            Ok(rows) => vec![(file, rows.into_iter().map(|row| row.question).collect())],
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(2);
            }
        },
        Err(_) => Shape::COMMON
            .into_iter()
            .map(|shape| {
                let options = GeneratorOptions::minimal(shape);
                let puzzles = (0..200)
                    .filter_map(|seed| generate(seed, &options).ok())
                    .map(|made| made.question)
                    .collect();
                (format!("generated {shape}"), puzzles)
            })
            .collect(),
    }
}

fn solver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("solver");
    group.sample_size(10);
    for (name, puzzles) in sets() {
        group.throughput(Throughput::Elements(puzzles.len() as u64));
        let guesses: u64 = puzzles.iter().map(|p| solve(p, 2).guesses).sum();
        let mean = guesses as f64 / puzzles.len().max(1) as f64;
        println!("{name}: {} puzzles, {mean:.1} guesses each", puzzles.len());
        group.bench_function(&name, |bencher| {
            bencher.iter(|| {
                for puzzle in &puzzles {
                    black_box(solve(black_box(puzzle), 2));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, solver);
criterion_main!(benches);
