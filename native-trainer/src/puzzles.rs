//! Puzzle sets of the commands that run models.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hrm_core::puzzle::{Board, Puzzle, PuzzleKind, dataset};
use hrm_core::weights::sha256_hex;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Which puzzles.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PuzzleArgs {
    /// Puzzles: CSV `source,question,answer,rating`, plain or gzip
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Use only the first N rows
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Share of each puzzle's blanks that is filled in from the answer; of a
    /// maze, of the route's cells
    #[arg(long, default_value_t = 0.0)]
    pub(crate) filled: f64,
}

/// One puzzle of a set.
#[derive(Debug, Clone)]
pub(crate) struct Row<P = Board> {
    pub(crate) question: P,
    pub(crate) answer: P,
    pub(crate) rating: u32,
}

/// Puzzles of one kind.
pub(crate) struct PuzzleSet<P = Board> {
    /// Name of the file, without its folder.
    pub(crate) name: String,
    /// sha256 of the file.
    pub(crate) sha256: String,
    pub(crate) rows: Vec<Row<P>>,
}

impl PuzzleArgs {
    /// Reads the set; `seed` decides which blanks are filled.
    pub(crate) fn load<P: Puzzle>(&self, kind: PuzzleKind, seed: u64) -> Result<PuzzleSet<P>> {
        ensure!(
            (0.0..=1.0).contains(&self.filled),
            "--filled is {}, must be a share from 0 to 1",
            self.filled
        );
        let name = self.data.display();
        let bytes = fs::read(&self.data).with_context(|| format!("reading {name}"))?;
        let mut rows: Vec<dataset::Row<P>> =
            dataset::Records::new(bytes.as_slice(), &name.to_string())?
                .collect::<Result<_, _>>()
                .with_context(|| format!("the model plays {kind}"))?;
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        ensure!(!rows.is_empty(), "{name} has no puzzles");
        let other = |r: &dataset::Row<P>| r.question.kind().into() != kind;
        if let Some(i) = rows.iter().position(other) {
            bail!(
                "{name}: row {} is a {}, the model plays {kind}",
                i + 1,
                rows[i].question.kind()
            );
        }
        let rows = rows
            .into_iter()
            .enumerate()
            .map(|(i, row)| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
                rng.set_stream(i as u64);
                Row {
                    question: row.question.filled(&row.answer, self.filled, &mut rng),
                    answer: row.answer,
                    rating: row.rating,
                }
            })
            .collect();
        Ok(PuzzleSet {
            name: file_name(&self.data),
            sha256: sha256_hex(&bytes),
            rows,
        })
    }
}

/// A path's last part, for reports that are to read the same everywhere.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
