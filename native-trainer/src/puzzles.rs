//! Puzzle sets of the commands that run models.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hrm_core::plan::Plan;
use hrm_core::puzzle::dataset::{ColumnNames, DatasetError, ReadOptions, Records};
use hrm_core::puzzle::{Board, Maze, Puzzle, PuzzleKind};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::output::errln;

/// Which puzzles.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PuzzleArgs {
    /// Puzzles: CSV `source,question,answer,rating`, or any other form that
    /// docs/formats.md names, plain or gzip
    #[arg(long)]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    /// Report lines that are no puzzle, count them and go on, instead of
    /// stopping at the first
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Use only the first N rows
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Share of each puzzle's blanks that is filled in from the answer; of a
    /// maze, of the route's cells
    #[arg(long, default_value_t = 0.0)]
    pub(crate) filled: f64,
}

/// Where the columns of a table are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ColumnArgs {
    /// Columns of the question, the answer and perhaps the source and the
    /// rating, by name or by number, where they are not found by themselves:
    /// `quizzes,solutions`, `2,3`, `question=a,rating=b`
    #[arg(long, value_name = "NAMES")]
    pub(crate) columns: Option<ColumnNames>,
}

impl ColumnArgs {
    /// How to read a file.
    pub(crate) fn options<K>(&self, kind: Option<K>) -> ReadOptions<K> {
        ReadOptions {
            columns: self.columns.clone(),
            kind,
            ..ReadOptions::default()
        }
    }
}

/// An error of a puzzle file, with what can be done about it.
pub(crate) fn explained(error: DatasetError) -> anyhow::Error {
    match error {
        DatasetError::Header { .. } => anyhow!(
            "{error}; say which columns to read with --columns, for example --columns \
             quizzes,solutions"
        ),
        error => error.into(),
    }
}

/// Bad lines that are shown; of more there is the number.
const SHOWN: usize = 20;

/// Lines of a file that are no puzzle: the end of it, or passed over and counted.
#[derive(Debug, Default)]
pub(crate) struct BadLines {
    skip: bool,
    /// Those passed over.
    pub(crate) count: usize,
}

impl BadLines {
    /// With `skip` they are passed over.
    pub(crate) fn new(skip: bool) -> Self {
        Self { skip, count: 0 }
    }

    /// The row; none for a bad line that is passed over, which goes to `report` as long
    /// as there are few.
    ///
    /// # Errors
    /// Any other error of the file, and a bad line that is not passed over.
    pub(crate) fn pass<T>(
        &mut self,
        row: Result<T, DatasetError>,
        report: impl FnOnce(&DatasetError),
    ) -> Result<Option<T>> {
        match row {
            Ok(row) => Ok(Some(row)),
            Err(error @ DatasetError::Line { .. }) if self.skip => {
                self.count += 1;
                if self.count <= SHOWN {
                    report(&error);
                }
                Ok(None)
            }
            Err(error @ DatasetError::Line { .. }) => Err(anyhow::Error::new(error)
                .context("a line is no puzzle; --skip-bad passes over such lines")),
            Err(error) => Err(explained(error)),
        }
    }

    /// Shows a line that is passed over.
    pub(crate) fn show(error: &DatasetError) {
        errln!("skipped: {error}");
    }
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
    /// Lines before the last row that are no puzzle and were passed over.
    pub(crate) skipped: usize,
}

impl PuzzleArgs {
    /// The board of the first puzzle, for a model that plays several; none for
    /// others, and for a file that holds no puzzle of its kind.
    pub(crate) fn board(&self, plan: &Plan) -> Option<PuzzleKind> {
        if plan.further_boards().is_empty() {
            return None;
        }
        match plan.config.puzzle {
            PuzzleKind::Sudoku(_) => self.first::<Board>(),
            PuzzleKind::Maze(_) => self.first::<Maze>(),
            // No further boards.
            PuzzleKind::Arc(_) => None,
        }
    }

    /// The board of the first row that holds one of this kind.
    fn first<P: Puzzle>(&self) -> Option<PuzzleKind> {
        let file = File::open(&self.data).ok()?;
        let options = self.columns.options(None);
        let mut rows = Records::<P>::with(file, "", &options).ok()?;
        let first = rows.find_map(Result::ok)?;
        Some(first.question.kind().into())
    }

    /// Reads the set; `seed` decides which blanks are filled. What is beyond the limit
    /// is not kept in memory.
    pub(crate) fn load<P: Puzzle>(&self, kind: PuzzleKind, seed: u64) -> Result<PuzzleSet<P>> {
        ensure!(
            (0.0..=1.0).contains(&self.filled),
            "--filled is {}, must be a share from 0 to 1",
            self.filled
        );
        let name = self.data.display();
        let file = File::open(&self.data).with_context(|| format!("reading {name}"))?;
        let mut hashed = Hashed {
            reader: file,
            hash: Sha256::new(),
        };
        let mut rows = Vec::new();
        let options = self.columns.options(None);
        let mut records = Records::<P>::with(&mut hashed, &name.to_string(), &options)
            .map_err(explained)
            .with_context(|| format!("the model plays {kind}"))?;
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut bad = BadLines::new(self.skip_bad);
        while rows.len() < limit
            && let Some(row) = records.next()
        {
            let row = bad.pass(row, BadLines::show);
            let Some(row) = row.with_context(|| format!("the model plays {kind}"))? else {
                continue;
            };
            let theirs = row.question.kind();
            let number = rows.len() + 1;
            if theirs.into() != kind {
                bail!("{name}: row {number} is a {theirs}, the model plays {kind}");
            }
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
            rng.set_stream(rows.len() as u64);
            rows.push(Row {
                question: row.question.filled(&row.answer, self.filled, &mut rng),
                answer: row.answer,
                rating: row.rating,
            });
        }
        ensure!(!rows.is_empty(), "{name} has no puzzles");
        if bad.count > 0 {
            errln!("{name}: {} lines skipped that are no puzzle", bad.count);
        }
        let notes = records.notes();
        if !notes.is_empty() {
            errln!("{name}: {notes}");
        }
        drop(records);
        io::copy(&mut hashed, &mut io::sink()).with_context(|| format!("reading {name}"))?;
        Ok(PuzzleSet {
            name: file_name(&self.data),
            sha256: hex(&hashed.hash.finalize()),
            rows,
            skipped: bad.count,
        })
    }
}

/// A reader whose bytes are hashed as they pass.
struct Hashed<R> {
    reader: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// sha256 of a file.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut hashed = Hashed {
        reader: File::open(path).with_context(reading)?,
        hash: Sha256::new(),
    };
    io::copy(&mut hashed, &mut io::sink()).with_context(reading)?;
    Ok(hex(&hashed.hash.finalize()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path's last part, for reports that are to read the same everywhere.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
