//! Names of tasks and of their rewritings, as the published models have them.

use std::fmt;

use super::grid::COLOURS;
use super::symmetry::ArcSymmetry;

/// Separator of the parts of a name.
const SEPARATOR: &str = "|||";

/// Which task, and under which symmetry: `TASK`, or as published
/// `TASK|||t3|||0132456789`, the number of the turn and what each colour
/// becomes. (Earlier published files have `TASK_t3_0132456789`, which is read
/// too.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The task.
    pub task: String,
    /// From the task to this rewriting of it.
    pub symmetry: ArcSymmetry,
}

impl Name {
    /// The task as it stands.
    #[must_use]
    pub fn plain(task: &str) -> Self {
        Self {
            task: task.to_owned(),
            symmetry: ArcSymmetry::identity(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.task)?;
        if self.symmetry == ArcSymmetry::identity() {
            return Ok(());
        }
        let turn = self.symmetry.turn();
        write!(f, "{SEPARATOR}t{turn}{SEPARATOR}")?;
        let colours = self.symmetry.colours();
        colours.iter().try_for_each(|colour| write!(f, "{colour}"))
    }
}

impl From<&str> for Name {
    /// A text without the parts of a symmetry is the name of a task.
    fn from(text: &str) -> Self {
        let rewritten = [SEPARATOR, "_"].into_iter().find_map(|separator| {
            let (rest, colours) = text.rsplit_once(separator)?;
            let (task, turn) = rest.rsplit_once(separator)?;
            let symmetry = symmetry(turn, colours)?;
            let task = task.to_owned();
            Some(Self { task, symmetry })
        });
        rewritten.unwrap_or_else(|| Self::plain(text))
    }
}

fn symmetry(turn: &str, colours: &str) -> Option<ArcSymmetry> {
    let turn: u8 = turn.strip_prefix('t')?.parse().ok()?;
    let digits: Vec<u8> = colours
        .chars()
        .map(|c| c.to_digit(10).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let colours: [u8; COLOURS] = digits.try_into().ok()?;
    ArcSymmetry::new(turn, colours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["007bbfb7", "a_b", "x|||t3|||0213456789", "x_t3_0"] {
            let name = Name::from(text);
            assert_eq!(name.to_string(), text);
        }
        let name = Name::from("x_y_t7_0213456789");
        assert_eq!((name.task.as_str(), name.symmetry.turn()), ("x_y", 7));
        assert_eq!(name.to_string(), "x_y|||t7|||0213456789");
        let odd = Name::from("x|||t9|||0213456789");
        assert_eq!(odd, Name::plain("x|||t9|||0213456789"));
    }
}
