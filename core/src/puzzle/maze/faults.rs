//! What is wrong with each cell of an answer, by name.

use super::grid::{Cell, Maze};
use super::route::on_route;

/// What is wrong with a cell of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A wall, the start, the goal or a mark of the question was changed.
    Changed,
    /// The route breaks off here: a marked cell with too few marked neighbours.
    Gap,
    /// The route forks here: one with too many.
    Branch,
    /// Marked, and not joined to the start by marked cells.
    Apart,
    /// On the route, and on no shortest one.
    Detour,
}

impl Fault {
    /// Its name for people; nothing for [`Fault::None`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Changed => "changed from the maze's",
            Self::Gap => "gap",
            Self::Branch => "branch",
            Self::Apart => "apart from the start",
            Self::Detour => "detour",
        }
    }
}

impl Maze {
    /// What is wrong with each cell of this answer to `question`, the worst of it. Of a
    /// shortest route, and of a question without marks, nothing is.
    #[must_use]
    pub fn faults(&self, question: &Self) -> Vec<Fault> {
        let count = self.cells().len();
        if self.route_cells() == 0 && self == question || question.size() != self.size() {
            return vec![Fault::None; count];
        }
        // Steps over marked cells from the start, and over all ways from both ends.
        let marked = self.find(Cell::Start);
        let marked = marked.map(|start| self.distances(start, on_route));
        let open = |end: Cell| {
            let end = question.find(end)?;
            Some(question.distances(end, |cell| cell != Cell::Wall))
        };
        let ends = open(Cell::Start).zip(open(Cell::Goal));
        let shortest = question.distance();
        let detour = |cell: usize| {
            let (from_start, to_goal) = ends.as_ref()?;
            let steps = from_start[cell]? + to_goal[cell]?;
            Some(steps as usize > shortest?)
        };
        let fault = |cell: usize| {
            let (here, given) = (self.cells()[cell], question.cells()[cell]);
            let kept = here == given || (given == Cell::Way && here == Cell::Route);
            if !kept {
                return Fault::Changed;
            }
            if !on_route(here) {
                return Fault::None;
            }
            let neighbours = self.size().neighbours(cell);
            let found = neighbours.filter(|&n| on_route(self.cells()[n])).count();
            let wanted = if here == Cell::Route { 2 } else { 1 };
            let joined = marked.as_ref().is_some_and(|steps| steps[cell].is_some());
            if found < wanted {
                Fault::Gap
            } else if found > wanted {
                Fault::Branch
            } else if !joined && here == Cell::Route {
                Fault::Apart
            } else if here == Cell::Route && detour(cell) == Some(true) {
                Fault::Detour
            } else {
                Fault::None
            }
        };
        (0..count).map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::Puzzle;

    #[test]
    fn every_fault_has_its_name() {
        let question = Maze::parse("S   \n ## \n    \n   G", None).unwrap();
        let faults = |text: &str| Maze::parse(text, None).unwrap().faults(&question);
        let (none, gap, branch) = (Fault::None, Fault::Gap, Fault::Branch);
        assert!(faults("Sooo\n ##o\n   o\n   G").iter().all(|&f| f == none));
        assert!(question.faults(&question).iter().all(|&f| f == none));

        // A route that does not get there, a loose mark, a wall that is gone.
        let found = faults("Soo \n #  \no   \n   G");
        let at = |cells: [usize; 5]| cells.map(|cell| found[cell]);
        assert_eq!(at([0, 2, 6, 8, 15]), [none, gap, Fault::Changed, gap, gap]);

        let found = faults("Sooo\n ##o\n  oo\n   G");
        assert_eq!([found[10], found[11], found[3]], [gap, branch, none]);

        // Joined in itself and with nothing else.
        let found = faults("S   \n ## \noo  \noo G");
        assert_eq!(
            [found[8], found[13], found[0]],
            [Fault::Apart, Fault::Apart, gap]
        );

        // All of a longer route that no shortest one passes.
        let question = Maze::parse("S   \n    \n    \nG   ", None).unwrap();
        let longer = Maze::parse("Soo \n  o \n  o \nGoo ", None).unwrap();
        assert!(longer.is_valid(&question) && !longer.solves(&question));
        let detours = longer.faults(&question);
        let detours = detours.iter().filter(|&&f| f == Fault::Detour).count();
        assert_eq!((detours, longer.conflicts()), (6, 0));
    }
}
