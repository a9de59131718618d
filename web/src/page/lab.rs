//! What the page knows beyond the single run: the inside of segments, the
//! solution, and the rooms below the board.

use hrm_core::puzzle::{AnyPuzzle, Puzzle};
use hrm_core::reason::lab::{Arrow, BasinEnd, GridMap, Inner, LinePoint, Origin, Track};
use hrm_core::reason::message::EngineFacts;
use hrm_core::reason::{Batch, SegmentReport};
use hrm_web::entry::Mode;
use hrm_web::experiments::Experiment;
use hrm_web::maze::Tool;
use hrm_web::timeline::{self, CellState, Moment};
use leptos::prelude::*;
use web_sys::ImageData;

/// What happened inside a segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inside {
    /// The answers after its H updates.
    pub(crate) updates: Vec<Inner>,
    /// Probabilities `[cells, contents]` at its end, in 255ths.
    pub(crate) probabilities: Vec<u8>,
}

/// A moment that others are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pin {
    /// Which it is.
    pub(crate) moment: Moment,
    /// Its grid.
    pub(crate) grid: Vec<u8>,
}

/// A batch of runs as it comes in.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    /// Its job, while it is wanted.
    pub(crate) job: RwSignal<Option<u32>>,
    /// Whether it still runs.
    pub(crate) busy: RwSignal<bool>,
    /// The reports of each run.
    pub(crate) reports: RwSignal<Vec<Vec<SegmentReport>>>,
    /// The puzzle they are about.
    pub(crate) puzzle: RwSignal<Option<AnyPuzzle>>,
    /// The model of each, if not the one that is loaded.
    pub(crate) models: RwSignal<Vec<Option<String>>>,
    /// What it took, milliseconds, once it is done.
    pub(crate) took: RwSignal<Option<f64>>,
    /// Why it could not be done.
    pub(crate) problem: RwSignal<Option<String>>,
    /// Folder name of the model that was loaded when it began.
    pub(crate) network: RwSignal<Option<String>>,
    /// The settings that it was begun with; none if they are a file's.
    pub(crate) settings: RwSignal<Option<String>>,
    /// The messages, to be saved.
    pub(crate) tape: StoredValue<BatchTape>,
}

/// The messages of a batch as JSON.
#[derive(Debug, Default)]
pub(crate) struct BatchTape {
    /// Folder name of the model that was loaded, and what runs it.
    pub(crate) made_by: Option<(String, EngineFacts)>,
    /// What they are, and what they are for.
    pub(crate) batch: Option<Batch>,
    /// As the live engine has written them.
    pub(crate) heard: Vec<String>,
    /// The file that they were read from instead.
    pub(crate) file: Option<String>,
}

impl Runs {
    fn new() -> Self {
        Self {
            job: RwSignal::new(None),
            busy: RwSignal::new(false),
            reports: RwSignal::new(Vec::new()),
            puzzle: RwSignal::new(None),
            models: RwSignal::new(Vec::new()),
            tape: StoredValue::new(BatchTape::default()),
            took: RwSignal::new(None),
            problem: RwSignal::new(None),
            network: RwSignal::new(None),
            settings: RwSignal::new(None),
        }
    }

    /// Begins a batch of runs of these models, where they are not `network`.
    pub(crate) fn begin(
        &self,
        job: u32,
        puzzle: &AnyPuzzle,
        network: Option<String>,
        models: Vec<Option<String>>,
    ) {
        self.job.set(Some(job));
        self.network.set(network);
        self.settings.set(None);
        self.tape.set_value(BatchTape::default());
        self.reports.set(vec![Vec::new(); models.len()]);
        self.models.set(models);
        self.puzzle.set(Some(puzzle.clone()));
        self.took.set(None);
        self.problem.set(None);
        self.busy.set(true);
    }

    /// Forgets the batch.
    pub(crate) fn clear(&self) {
        self.job.set(None);
        self.busy.set(false);
        self.reports.set(Vec::new());
        self.puzzle.set(None);
        self.took.set(None);
        self.problem.set(None);
    }

    /// Whether that is its job.
    pub(crate) fn is(&self, job: u32) -> bool {
        self.job.get_untracked() == Some(job)
    }

    /// The model of a run, if not the one that is loaded.
    pub(crate) fn model(&self, index: usize) -> Option<String> {
        self.models
            .with_untracked(|models| models.get(index).cloned().flatten())
    }

    /// Keeps a message as the live engine has written it.
    pub(crate) fn record(&self, job: u32, text: &str) {
        if self.is(job) && !text.is_empty() {
            self.tape
                .update_value(|tape| tape.heard.push(text.to_owned()));
        }
    }

    pub(crate) fn add(&self, job: u32, reports: Vec<(usize, SegmentReport)>) {
        if self.is(job) && !reports.is_empty() {
            self.reports.update(|runs| {
                for (index, report) in reports {
                    if let Some(run) = runs.get_mut(index) {
                        run.push(report);
                    }
                }
            });
        }
    }

    pub(crate) fn end(&self, job: u32, milliseconds: Option<f64>, problem: Option<&str>) {
        if self.is(job) {
            self.busy.set(false);
            self.took.set(milliseconds);
            self.problem.set(problem.map(str::to_owned));
        }
    }
}

/// The plane as the worker has told of it last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlaneFrame {
    /// Shares of the variance of the trace along its axes.
    pub(crate) explained: [f32; 2],
    /// Whether it stays as it is.
    pub(crate) fixed: bool,
    /// The runs on it; the first is the one on the board.
    pub(crate) tracks: Vec<Track>,
}

/// A picture of the plane, with the job that draws it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture<T> {
    /// The job.
    pub(crate) job: u32,
    /// What is known of it.
    pub(crate) content: Option<T>,
}

impl<T> Default for Picture<T> {
    fn default() -> Self {
        Self {
            job: 0,
            content: None,
        }
    }
}

impl<T> Picture<T> {
    /// Nothing as yet.
    pub(crate) fn of(job: u32) -> Self {
        Self { job, content: None }
    }

    /// Takes what a job has drawn, if it is this picture's.
    pub(crate) fn take(&mut self, job: u32, content: T) {
        if self.job == job {
            self.content = Some(content);
        }
    }
}

/// The latent room.
#[derive(Clone, Copy)]
pub(crate) struct Latent {
    pub(crate) frame: RwSignal<Option<PlaneFrame>>,
    /// E around the last state.
    pub(crate) landscape: RwSignal<Picture<(GridMap, Vec<Arrow>)>>,
    /// The ends that take the points.
    pub(crate) basins: RwSignal<Picture<(GridMap, Vec<BasinEnd>)>>,
    /// E and flow on the line between two ends.
    pub(crate) line: RwSignal<Picture<Vec<LinePoint>>>,
    /// The landscape as a surface, as the worker's GPU has drawn it last.
    pub(crate) relief: RwSignal<Option<ImageData>, LocalStorage>,
    /// The job that is drawing it.
    pub(crate) painting: RwSignal<Option<u32>>,
    /// Whether the worker can't draw it.
    pub(crate) unpainted: RwSignal<bool>,
    /// Where visitors began, in their order.
    pub(crate) visits: RwSignal<Vec<Origin>>,
    /// Jobs that are under way.
    pub(crate) busy: RwSignal<Vec<u32>>,
    /// Why the last job could not be done.
    pub(crate) problem: RwSignal<Option<String>>,
}

/// What may be asked of the guesses from beside the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Guess out loud until one is verified.
    Aloud,
    /// Race with the digits renamed in a circle, once around.
    Renamings,
    /// Do that experiment.
    Experiment(Experiment),
}

/// The rooms below the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Several guesses at once.
    Guesses,
    /// The latent plane.
    Latent,
    /// Experiments.
    Experiments,
    /// Training a network.
    Train,
}

impl Room {
    /// Every room.
    pub(crate) const ALL: [Self; 4] = [Self::Guesses, Self::Latent, Self::Experiments, Self::Train];

    /// The name used in addresses.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Guesses => "guesses",
            Self::Latent => "latent",
            Self::Experiments => "experiments",
            Self::Train => "train",
        }
    }

    /// What it is called.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Guesses => "Guesses",
            Self::Latent => "Latent space",
            Self::Experiments => "Experiments",
            Self::Train => "Train",
        }
    }
}

/// Everything of this.
#[derive(Clone, Copy)]
pub(crate) struct Lab {
    /// The insides of the segments so far.
    pub(crate) insides: RwSignal<Vec<Inside>>,
    /// The H update looked at, none for the end of the segment.
    pub(crate) update: RwSignal<Option<usize>>,
    /// Whether the slider goes through the updates inside segments.
    pub(crate) fine: RwSignal<bool>,
    /// The moment compared with.
    pub(crate) pin: RwSignal<Option<Pin>>,
    /// Segments chosen for a run, if not what the model was trained for.
    pub(crate) depth: RwSignal<Option<usize>>,
    /// The only solution of the puzzle, or of a maze one of the best.
    pub(crate) answer: RwSignal<Option<AnyPuzzle>>,
    /// The only solution of the puzzle as it was before digits were written
    /// into it.
    pub(crate) base_answer: RwSignal<Option<AnyPuzzle>>,

    /// What a press does on a maze.
    pub(crate) tool: RwSignal<Tool>,
    /// Whether a maze is shown larger than its place.
    pub(crate) large: RwSignal<bool>,

    /// What typed digits mean.
    pub(crate) mode: RwSignal<Mode>,
    /// Cells selected besides the one at the cursor.
    pub(crate) selected: RwSignal<Vec<usize>>,
    /// Whether a press adds to the selection without a modifier: where there
    /// are no keys and no mouse to drag.
    pub(crate) gather: RwSignal<bool>,
    /// Whether a press of the mouse has begun on the board and may become a
    /// drag over its cells.
    pub(crate) pressed: RwSignal<bool>,
    /// The cell the pointer is on.
    pub(crate) hovered: RwSignal<Option<usize>>,
    /// Cells that a check has found wrong.
    pub(crate) mistakes: RwSignal<Vec<usize>>,

    /// The open room.
    pub(crate) room: RwSignal<Option<Room>>,
    /// The race of guesses.
    pub(crate) race: Runs,
    /// A race that is wished for beside the board.
    pub(crate) wish: RwSignal<Option<Wish>>,
    /// Whether the race's answer goes onto the board: its guesses commit
    /// themselves, and it ends with the first that is verified.
    pub(crate) aloud: RwSignal<bool>,
    /// The guess whose board is looked at.
    pub(crate) shown: RwSignal<Option<usize>>,
    /// The chosen experiment.
    pub(crate) experiment: RwSignal<Experiment>,
    /// Its runs.
    pub(crate) trial: Runs,
    /// The latent plane.
    pub(crate) latent: Latent,
    jobs: StoredValue<u32>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            insides: RwSignal::new(Vec::new()),
            update: RwSignal::new(None),
            fine: RwSignal::new(false),
            pin: RwSignal::new(None),
            depth: RwSignal::new(None),
            answer: RwSignal::new(None),
            base_answer: RwSignal::new(None),
            tool: RwSignal::new(Tool::Look),
            large: RwSignal::new(false),
            mode: RwSignal::new(Mode::Digit),
            selected: RwSignal::new(Vec::new()),
            gather: RwSignal::new(false),
            pressed: RwSignal::new(false),
            hovered: RwSignal::new(None),
            mistakes: RwSignal::new(Vec::new()),
            room: RwSignal::new(None),
            race: Runs::new(),
            wish: RwSignal::new(None),
            aloud: RwSignal::new(false),
            shown: RwSignal::new(None),
            experiment: RwSignal::new(Experiment::OneBlank),
            trial: Runs::new(),
            latent: Latent {
                frame: RwSignal::new(None),
                landscape: RwSignal::new(Picture::default()),
                basins: RwSignal::new(Picture::default()),
                line: RwSignal::new(Picture::default()),
                relief: RwSignal::new_local(None),
                painting: RwSignal::new(None),
                unpainted: RwSignal::new(false),
                visits: RwSignal::new(Vec::new()),
                busy: RwSignal::new(Vec::new()),
                problem: RwSignal::new(None),
            },
            jobs: StoredValue::new(0),
        }
    }

    /// A number for a new job, from 1: 0 is the run on the board.
    pub(crate) fn job(&self) -> u32 {
        self.jobs.update_value(|jobs| *jobs += 1);
        self.jobs.get_value()
    }

    /// The run on the board is gone, and with it what was seen of it.
    pub(crate) fn reset(&self) {
        self.insides.set(Vec::new());
        self.update.set(None);
        self.pin.set(None);
        self.shown.set(None);
        self.mistakes.set(Vec::new());
        let latent = self.latent;
        latent.frame.set(None);
        latent.landscape.set(Picture::default());
        latent.basins.set(Picture::default());
        latent.line.set(Picture::default());
        latent.visits.set(Vec::new());
        latent.busy.set(Vec::new());
        latent.problem.set(None);
    }

    /// The worker has dropped all jobs.
    pub(crate) fn give_up(&self, why: &str) {
        for runs in [self.race, self.trial] {
            // One that is played from a file needs no worker.
            let live = runs.tape.with_value(|tape| tape.file.is_none());
            if live && runs.busy.get_untracked() {
                runs.busy.set(false);
                runs.problem.set(Some(why.to_owned()));
            }
        }
        self.latent.busy.set(Vec::new());
    }

    /// Conflicts after an update inside a segment. Tracked.
    pub(crate) fn conflicts_inside(&self, segment: usize, update: usize) -> Option<u32> {
        self.insides.with(|insides| {
            let inside = insides.get(segment.checked_sub(1)?)?;
            Some(inside.updates.get(update)?.conflicts)
        })
    }

    /// H updates to a segment, as far as they are seen. Tracked.
    pub(crate) fn updates(&self) -> usize {
        self.insides.with(|insides| {
            insides
                .first()
                .map_or(1, |inside| inside.updates.len().max(1))
        })
    }

    /// The cells as they are looked at: inside a segment, or compared with
    /// another moment. Tracked.
    pub(crate) fn show(&self, cells: &mut [CellState], puzzle: &AnyPuzzle, segment: usize) {
        if let Some(update) = self.update.get() {
            self.insides.with(|insides| {
                let grid = |segment: usize, update: Option<usize>| {
                    let inside = insides.get(segment.checked_sub(1)?)?;
                    let inner = match update {
                        Some(update) => inside.updates.get(update)?,
                        None => inside.updates.last()?,
                    };
                    Some(inner.grid.as_slice())
                };
                let before = match update.checked_sub(1) {
                    Some(earlier) => grid(segment, Some(earlier)),
                    None => grid(segment.saturating_sub(1), None),
                };
                if let Some(now) = grid(segment, Some(update)) {
                    timeline::show_inside(puzzle, cells, now, before.unwrap_or(&puzzle.values()));
                }
            });
        } else if self.fine.get() && segment > 0 && self.updates() > 1 {
            // The last update alone is compared with the one before it.
            self.insides.with(|insides| {
                let updates = insides.get(segment - 1).map(|inside| &inside.updates);
                if let Some([.., before, now]) = updates.map(Vec::as_slice) {
                    timeline::show_inside(puzzle, cells, &now.grid, &before.grid);
                }
            });
        }
        if let Some(pin) = self.pin.get() {
            timeline::compare(cells, &pin.grid);
        }
    }

    /// The moment looked at, in a run of `segment`s. Tracked.
    pub(crate) fn moment(&self, segment: usize) -> Moment {
        Moment {
            segment,
            update: self.update.get(),
        }
    }

    /// The selected cells, or the one at the cursor.
    pub(crate) fn selection(&self, cursor: usize) -> Vec<usize> {
        let selected = self.selected.get_untracked();
        if selected.is_empty() {
            vec![cursor]
        } else {
            selected
        }
    }
}
