//! What the rooms below the board have the worker do, and what it answers.

use hrm_core::puzzle::{AnyPuzzle, Board, Puzzle};
use hrm_core::reason::Stop;
use hrm_core::reason::lab::{GridMap, Item, LabEvent, LabRequest, Origin};
use hrm_core::reason::message::Request;
use hrm_core::reason::{Batch, SegmentReport};
use hrm_web::entry::Mode;
use hrm_web::experiments::Experiment;
use hrm_web::guesses::Variety;
use hrm_web::surface::Camera;
use hrm_web::timeline::Moment;
use leptos::prelude::*;

use crate::actions::Page;
use crate::lab::{BatchTape, Inside, Picture, Pin, PlaneFrame, Runs};
use crate::state::Phase;

impl Page {
    fn ask(&self, request: LabRequest) {
        self.send(&Request::Lab { request });
    }

    /// Folder names and titles of the other models that play what is on the
    /// board. Tracked.
    pub(crate) fn rivals(&self) -> Vec<(String, String)> {
        let s = self.state;
        let (here, kind) = (s.model.get(), s.kind.get());
        s.models.with(|models| {
            models
                .iter()
                .filter(|m| m.plays(kind) && Some(&m.id) != here.as_ref())
                .map(|m| (m.id.clone(), m.title.clone()))
                .collect()
        })
    }

    /// Whether renamed puzzles are all the same to the model. Tracked.
    pub(crate) fn sees_images_alike(&self) -> bool {
        let s = self.state;
        let here = s.model.get();
        s.models.with(|models| {
            let own = models.iter().find(|m| Some(&m.id) == here.as_ref());
            own.is_some_and(|m| m.sees_images_alike)
        })
    }

    /// What the model of that folder name is called.
    pub(crate) fn title(&self, id: Option<String>) -> String {
        let title = self.state.models.with_untracked(|models| {
            let found = models.iter().find(|m| Some(&m.id) == id.as_ref());
            found.map(|m| m.title.clone())
        });
        title.or(id).unwrap_or_else(|| "The network".to_owned())
    }

    /// Whether a model is there to run on. Tracked.
    pub(crate) fn is_ready(&self) -> bool {
        self.state
            .phase
            .with(|phase| matches!(phase, Phase::Loaded { .. }))
    }

    /// News of what goes beyond the single run; the `text` of those of a batch
    /// is kept.
    pub(crate) fn hear_lab(&self, event: LabEvent, text: &str) {
        let s = self.state;
        let lab = s.lab;
        let current = |run: u32| run == s.run.get_untracked() && s.started.get_untracked();
        match event {
            LabEvent::Inside {
                run,
                segment,
                updates,
                probabilities,
            } if current(run) => lab.insides.update(|insides| {
                // One entry a segment, whatever has gone missing before.
                insides.truncate(segment.saturating_sub(1));
                insides.push(Inside {
                    updates,
                    probabilities,
                });
            }),
            LabEvent::Inside { .. } => {}
            LabEvent::Batch { job, reports } => {
                if let Some(runs) = self.batch(job) {
                    runs.record(job, text);
                    runs.add(job, reports);
                }
            }
            LabEvent::Plane {
                run,
                explained,
                fixed,
                tracks,
            } => {
                if current(run) {
                    lab.latent.frame.set(Some(PlaneFrame {
                        explained,
                        fixed,
                        tracks,
                    }));
                }
            }
            LabEvent::Landscape { job, map, arrows } => lab
                .latent
                .landscape
                .update(|picture| picture.take(job, (map, arrows))),
            LabEvent::Basins { job, map, ends } => lab
                .latent
                .basins
                .update(|picture| picture.take(job, (map, ends))),
            LabEvent::Line { job, points } => {
                lab.latent.line.update(|picture| picture.take(job, points));
            }
            LabEvent::Done { job, milliseconds } => {
                if let Some(runs) = self.batch(job) {
                    runs.record(job, text);
                    runs.end(job, Some(milliseconds), None);
                    self.show_answer();
                }
                lab.latent
                    .busy
                    .update(|jobs| jobs.retain(|&known| known != job));
            }
            LabEvent::Failed { job, message } => {
                if let Some(runs) = self.batch(job) {
                    runs.end(job, None, Some(&message));
                }
                if lab.latent.painting.get_untracked() == Some(job) {
                    lab.latent.painting.set(None);
                    lab.latent.unpainted.set(true);
                }
                if lab.latent.busy.with_untracked(|jobs| jobs.contains(&job)) {
                    lab.latent
                        .busy
                        .update(|jobs| jobs.retain(|&known| known != job));
                    lab.latent.problem.set(Some(message));
                }
            }
        }
    }

    /// The batch of that job.
    fn batch(&self, job: u32) -> Option<Runs> {
        let lab = self.state.lab;
        [lab.race, lab.trial].into_iter().find(|runs| runs.is(job))
    }

    /// Puts the answer of guesses that went on until one was verified onto the
    /// board.
    pub(crate) fn show_answer(&self) {
        let lab = self.state.lab;
        if !lab.aloud.get_untracked() || lab.race.busy.get_untracked() {
            return;
        }
        lab.aloud.set(false);
        let solved = lab.race.reports.with_untracked(|runs| {
            let solved = |run: &Vec<SegmentReport>| run.last().is_some_and(|r| r.solved);
            runs.iter().position(solved)
        });
        if solved.is_some() && lab.shown.with_untracked(Option::is_some) {
            self.show_guess(solved);
        }
    }

    /// Shows a guess on the board, or the run again.
    pub(crate) fn show_guess(&self, guess: Option<usize>) {
        let s = self.state;
        self.pause();
        s.looking_at.set(None);
        s.lab.update.set(None);
        s.lab.shown.set(guess);
    }

    /// Whether what a batch shows is of another puzzle or network than those
    /// that are chosen now. Tracked.
    pub(crate) fn is_elsewhere(&self, runs: Runs) -> bool {
        let s = self.state;
        let other_puzzle = runs.puzzle.with(|puzzle| {
            let here = |board| s.entry.with(|entry| entry.board() == board);
            puzzle.as_ref().is_some_and(|board| !here(board))
        });
        let network = runs.network.get();
        runs.puzzle.with(Option::is_some)
            && (other_puzzle || network.is_some() && network != s.model.get())
    }

    // Time.

    /// The moment looked at. Tracked.
    pub(crate) fn moment(&self) -> Moment {
        self.state.lab.moment(self.state.segment())
    }

    /// Looks at a moment, `updates` to a segment.
    pub(crate) fn look_at(&self, moment: Moment) {
        let s = self.state;
        self.pause();
        let known = untrack(|| s.seen(|reports, _, _| reports.len()));
        let last = moment.segment >= known && moment.update.is_none();
        s.looking_at
            .set((!last).then_some(moment.segment.min(known)));
        s.lab.update.set(moment.update);
    }

    /// Compares other moments with the one looked at, or stops doing so.
    pub(crate) fn toggle_pin(&self) {
        let s = self.state;
        let pin = match s.lab.pin.get_untracked() {
            Some(_) => None,
            None => {
                let moment = untrack(|| self.moment());
                let grid = s
                    .cells
                    .with_untracked(|cells| cells.iter().map(|cell| cell.digit).collect());
                Some(Pin { moment, grid })
            }
        };
        s.lab.pin.set(pin);
    }

    /// Compares other moments with one of the run so far. Returns whether it
    /// has come to that. Tracked.
    pub(crate) fn compare_with(&self, moment: Moment) -> bool {
        let s = self.state;
        let at = moment.segment.checked_sub(1);
        let grid = match (at, moment.update) {
            (None, _) => Some(s.entry.with(|entry| entry.board().values())),
            (Some(at), None) => s.reports.with(|r| r.get(at).map(|r| r.grid.clone())),
            (Some(at), Some(update)) => s.lab.insides.with(|insides| {
                let inner = insides.get(at)?.updates.get(update)?;
                Some(inner.grid.clone())
            }),
        };
        let known = grid.is_some();
        if let Some(grid) = grid {
            s.lab.pin.set(Some(Pin { moment, grid }));
        }
        known
    }

    /// Chooses how many segments a run takes.
    pub(crate) fn set_depth(&self, segments: usize) {
        let s = self.state;
        s.lab.depth.set(Some(segments));
        let known = s.reports.with_untracked(Vec::len);
        s.limit.set(segments.max(known));
        self.plan_anew();
    }

    // The board.

    /// Pencils a digit into the selected cells, or rubs it out.
    pub(crate) fn mark(&self, mode: Mode, digit: u8) {
        let cells = self.state.lab.selection(self.state.cursor.get_untracked());
        self.edit(move |entry| entry.mark(&cells, mode, digit));
    }

    /// Writes one right cell: at the cursor if it is open, else the first.
    pub(crate) fn hint(&self) {
        let s = self.state;
        let answer = s.lab.answer.get_untracked();
        let answer = answer.or_else(|| s.lab.base_answer.get_untracked());
        let Some(answer) = answer else {
            s.notice.set(Some(
                "A hint needs a puzzle with exactly one solution.".to_owned(),
            ));
            return;
        };
        let cursor = s.cursor.get_untracked();
        let Some((cell, digit)) = s.entry.with_untracked(|entry| entry.hint(&answer, cursor))
        else {
            s.notice.set(Some("Every cell is right.".to_owned()));
            return;
        };
        s.notice.set(None);
        self.edit(move |entry| entry.set(cell, digit));
        s.cursor.set(cell);
    }

    /// Marks the digits that were written wrong, and says how it stands.
    pub(crate) fn check(&self) {
        let s = self.state;
        let Some(answer) = s
            .lab
            .base_answer
            .get_untracked()
            .or(s.lab.answer.get_untracked())
        else {
            s.notice.set(Some(
                "There is nothing to check against: the puzzle has no single solution.".to_owned(),
            ));
            return;
        };
        let mistakes = s.entry.with_untracked(|entry| entry.mistakes(&answer));
        let blanks = s
            .entry
            .with_untracked(|entry| entry.board().sudoku().map_or(0, Board::blanks));
        let said = match (mistakes.len(), blanks) {
            (0, 0) => "All cells are right.".to_owned(),
            (0, 1) => "No mistake so far; 1 cell is blank.".to_owned(),
            (0, n) => format!("No mistake so far; {n} cells are blank."),
            (1, _) => "1 digit is wrong.".to_owned(),
            (n, _) => format!("{n} digits are wrong."),
        };
        s.notice.set(Some(said));
        s.lab.mistakes.set(mistakes);
    }

    // Batches.

    /// Has several guesses race for the puzzle.
    pub(crate) fn race(&self, variety: &Variety, segments: usize, stop: Stop) {
        let s = self.state;
        self.cancel(s.lab.race);
        let puzzle = s.puzzle();
        let batch = Batch {
            experiment: None,
            items: variety.items(&puzzle),
        };
        self.begin(s.lab.race, &puzzle, batch, segments, stop);
    }

    /// Runs an experiment on the puzzle; `other` is the second model of those
    /// that compare two.
    pub(crate) fn experiment(
        &self,
        experiment: Experiment,
        answer: &AnyPuzzle,
        other: Option<String>,
        segments: usize,
    ) {
        let s = self.state;
        let trial = s.lab.trial;
        self.cancel(trial);
        let puzzle = s.puzzle();
        let mut items = experiment.items(&puzzle, answer, 1);
        let stop = if experiment == Experiment::TwoModels {
            Stop::Depth
        } else {
            Stop::Solved
        };
        if other.is_some() {
            items.push(Item {
                model: other,
                ..Item::plain(puzzle.clone())
            });
        }
        let batch = Batch {
            experiment: Some(experiment.name().to_owned()),
            items,
        };
        self.begin(trial, &puzzle, batch, segments, stop);
    }

    fn begin(&self, runs: Runs, puzzle: &AnyPuzzle, batch: Batch, limit: usize, stop: Stop) {
        let s = self.state;
        let job = s.lab.job();
        let items = batch.items.clone();
        let models = items.iter().map(|item| item.model.clone());
        let network = s.model.get_untracked();
        runs.begin(job, puzzle, network, models.collect());
        if let (Some(model), Phase::Loaded { engine, .. }) =
            (s.model.get_untracked(), s.phase.get_untracked())
        {
            runs.tape.set_value(BatchTape {
                made_by: Some((model, engine)),
                batch: Some(batch),
                ..BatchTape::default()
            });
        }
        self.ask(LabRequest::Batch {
            job,
            items,
            limit,
            stop,
        });
    }

    /// Gives a batch up; what has come in stays.
    pub(crate) fn cancel(&self, runs: Runs) {
        if let Some(job) = runs.job.get_untracked()
            && runs.busy.get_untracked()
        {
            self.ask(LabRequest::Cancel { job: Some(job) });
            runs.busy.set(false);
        }
    }

    // The latent plane.

    fn latent_job(&self) -> u32 {
        let latent = self.state.lab.latent;
        let job = self.state.lab.job();
        latent.busy.update(|jobs| jobs.push(job));
        latent.problem.set(None);
        job
    }

    /// Has the worker tell of the plane, or not; and has it keep the plane as
    /// it is, or fit it again after every segment.
    pub(crate) fn watch_plane(&self, watched: bool, fixed: bool) {
        self.ask(LabRequest::Plane { watched, fixed });
    }

    /// Follows another run on the plane.
    pub(crate) fn visit(&self, from: Origin, segments: usize) {
        let job = self.latent_job();
        let visits = self.state.lab.latent.visits;
        visits.update(|visits| visits.push(from));
        self.ask(LabRequest::Visit {
            job,
            from,
            segments,
        });
    }

    /// Draws the landscape around the present end of the run.
    pub(crate) fn landscape(&self, half: usize) {
        let job = self.latent_job();
        self.state.lab.latent.landscape.set(Picture::of(job));
        self.ask(LabRequest::Landscape { job, half });
    }

    /// Has the worker's GPU draw a landscape as a surface.
    pub(crate) fn paint(&self, map: &GridMap, camera: Camera, size: [u32; 2]) {
        let job = self.state.lab.job();
        self.state.lab.latent.painting.set(Some(job));
        self.ask(LabRequest::Relief {
            job,
            values: map.values.clone(),
            side: map.side,
            camera: [camera.turn, camera.tilt],
            size,
        });
    }

    /// Finds out which attractor takes the points of the plane.
    pub(crate) fn basins(&self, half: usize, segments: usize) {
        let job = self.latent_job();
        self.state.lab.latent.basins.set(Picture::of(job));
        self.ask(LabRequest::Basins {
            job,
            half,
            segments,
        });
    }

    /// Walks the straight line between the ends of two tracks.
    pub(crate) fn walk_line(&self, from: u32, to: u32) {
        let job = self.latent_job();
        self.state.lab.latent.line.set(Picture::of(job));
        self.ask(LabRequest::Line {
            job,
            from,
            to,
            steps: 40,
        });
    }

    /// Gives up what is being drawn on the plane.
    pub(crate) fn stop_latent(&self) {
        for job in self.state.lab.latent.busy.get_untracked() {
            self.ask(LabRequest::Cancel { job: Some(job) });
        }
        self.state.lab.latent.busy.set(Vec::new());
    }
}
