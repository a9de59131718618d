//! Records a training for the room to show before anything is trained there,
//! with the room's own run: `record PRESET FILE [FIELD:VALUE…]`. What it
//! measures on the way is printed.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    native::run()
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::error::Error;
    use std::time::Instant;

    use hrm_train_room::address;
    use hrm_train_room::message::Recording;
    use hrm_train_room::session::{Preparation, Session};

    /// Evaluations of a recording: as many as its file has room for.
    const EVALUATIONS: u64 = 36;
    /// The same of its curve of the loss.
    const MARKS: usize = 120;

    pub(super) fn run() -> Result<(), Box<dyn Error>> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [preset, file, changes @ ..] = args.as_slice() else {
            return Err("record PRESET FILE [FIELD:VALUE…]".into());
        };
        let text = [std::slice::from_ref(preset), changes].concat().join(",");
        let settings = address::parse(&text).ok_or("there are no such settings")?;
        let mut preparation = Preparation::new(settings.clone())?;
        let begun = Instant::now();
        while preparation.work()? {}
        eprintln!("puzzles: {:.2} s", begun.elapsed().as_secs_f64());
        let mut session = preparation.finish(1)?;
        let every = settings.steps.div_ceil(EVALUATIONS).max(1);
        evaluate(&mut session)?;
        while !session.is_over() {
            let begun = Instant::now();
            session.step()?;
            session.spend(begun.elapsed().as_secs_f64());
            // Closer together at first, where most happens.
            let step = session.step_number();
            let early = step < 2 * every && step.is_multiple_of((every / 4).max(1));
            if early || step.is_multiple_of(every) || session.is_over() {
                evaluate(&mut session)?;
            }
        }
        session.take_marks();
        let place = session.place(0.0, false);
        let mut run = session.begun();
        run.history.thin(MARKS);
        let recording = Recording {
            run,
            seconds: place.seconds,
            machine: "one core, natively".to_owned(),
        };
        std::fs::write(file, serde_json::to_string(&recording)?)?;
        let rate = place.step as f64 / place.seconds;
        eprintln!(
            "{} steps in {:.1} s, {rate:.2} a second",
            place.step, place.seconds
        );
        Ok(())
    }

    fn evaluate(session: &mut Session) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        let mut evaluator = session.evaluator()?;
        let evaluation = loop {
            if let Some(evaluation) = evaluator.work()? {
                break evaluation;
            }
        };
        let place = session.place(0.0, false);
        let loss = session.history().marks.last().map_or(f64::NAN, |m| m.loss);
        eprintln!(
            "step {:5}  {:6.1} s  loss {loss:.4}  cells {:.3}  solved {}/{}  first {}  ({:.2} s)",
            place.step,
            place.seconds,
            evaluation.cells,
            evaluation.right(),
            evaluation.puzzles,
            evaluation.solved[0],
            begun.elapsed().as_secs_f64()
        );
        session.evaluated(evaluation);
        Ok(())
    }
}
