//! Shortest routes, and what is wrong with a marked one.

use std::collections::VecDeque;

use super::grid::{Cell, Maze};

/// What is wrong with the marked cells of a maze.
pub(super) struct Faults {
    /// E, see [`Puzzle::conflicts`](crate::puzzle::Puzzle::conflicts) of [`Maze`].
    pub(super) total: u32,
    /// Cells with a wrong number of neighbours on the route, or surplus ends.
    pub(super) cells: Vec<bool>,
}

impl Maze {
    /// Steps from `from` to every cell over cells that `open` lets pass; none where
    /// no way leads.
    pub(super) fn distances(&self, from: usize, open: impl Fn(Cell) -> bool) -> Vec<Option<u32>> {
        let mut distance = vec![None; self.cells().len()];
        distance[from] = Some(0);
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((cell, steps)) = queue.pop_front() {
            for next in self.size().neighbours(cell) {
                if distance[next].is_none() && open(self.cells()[next]) {
                    distance[next] = Some(steps + 1);
                    queue.push_back((next, steps + 1));
                }
            }
        }
        distance
    }

    /// Steps of a shortest route from start to goal; none if there is no start, no
    /// goal or no way.
    #[must_use]
    pub fn distance(&self) -> Option<usize> {
        let (start, goal) = (self.find(Cell::Start)?, self.find(Cell::Goal)?);
        self.distances(start, |cell| cell != Cell::Wall)[goal].map(|steps| steps as usize)
    }

    /// A shortest route, the cells between start and goal in order; of several the
    /// one that goes from the start down, left, right, up in this preference, as the
    /// answers of Maze-Hard do (checked on all of its 1,000 training rows). None if
    /// there is no start, no goal or no way.
    #[must_use]
    pub fn shortest_route(&self) -> Option<Vec<usize>> {
        let (start, goal) = (self.find(Cell::Start)?, self.find(Cell::Goal)?);
        let distance = self.distances(goal, |cell| cell != Cell::Wall);
        let mut left = distance[start]?;
        let mut here = start;
        let mut route = Vec::new();
        while left > 1 {
            left -= 1;
            let [up, down, beside @ ..] = self.size().around(here);
            let [on_the_left, on_the_right] = beside;
            here = [down, on_the_left, on_the_right, up]
                .into_iter()
                .flatten()
                .find(|&next| distance[next] == Some(left))?;
            route.push(here);
        }
        Some(route)
    }

    /// How many shortest routes lead from the start to the goal, counted up to `most`.
    #[must_use]
    pub fn shortest_routes(&self, most: u64) -> u64 {
        let (Some(start), Some(goal)) = (self.find(Cell::Start), self.find(Cell::Goal)) else {
            return 0;
        };
        let distance = self.distances(start, |cell| cell != Cell::Wall);
        let mut order: Vec<(u32, usize)> = distance
            .iter()
            .enumerate()
            .filter_map(|(cell, steps)| Some(((*steps)?, cell)))
            .collect();
        order.sort_unstable();
        let mut routes = vec![0_u64; distance.len()];
        routes[start] = 1;
        for (steps, cell) in order {
            for next in self.size().neighbours(cell) {
                if distance[next] == Some(steps + 1) {
                    routes[next] = routes[next].saturating_add(routes[cell]).min(most);
                }
            }
        }
        routes[goal].min(most)
    }

    /// Steps of the shortest way from the start to the goal over marked cells alone,
    /// whatever else is marked; none if they do not lead there.
    #[must_use]
    pub fn marked_distance(&self) -> Option<usize> {
        let (start, goal) = (self.find(Cell::Start)?, self.find(Cell::Goal)?);
        self.distances(start, on_route)[goal].map(|steps| steps as usize)
    }

    /// The cells that marked cells join to the start, and it itself.
    #[must_use]
    pub fn joined_to_start(&self) -> Vec<bool> {
        match self.find(Cell::Start) {
            Some(start) => {
                let steps = self.distances(start, on_route);
                steps.into_iter().map(|steps| steps.is_some()).collect()
            }
            None => vec![false; self.cells().len()],
        }
    }

    /// Whether the marked cells lead from the start to the goal, no matter what else
    /// is marked.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.marked_distance().is_some()
    }

    pub(super) fn route_faults(&self) -> Faults {
        let count = self.cells().len();
        let mut faults = Faults {
            total: 0,
            cells: vec![false; count],
        };
        let mut parts = 0;
        let mut seen = vec![false; count];
        let mut ends = [0_u32; 2];
        for cell in 0..count {
            let content = self.cells()[cell];
            if !on_route(content) {
                continue;
            }
            let wanted: u32 = match content {
                Cell::Route => 2,
                _ => 1,
            };
            let neighbours = self.size().neighbours(cell);
            let found = neighbours.filter(|&n| on_route(self.cells()[n])).count() as u32;
            faults.total += found.abs_diff(wanted);
            faults.cells[cell] = found != wanted;
            if let Some(end) = [Cell::Start, Cell::Goal].iter().position(|&e| e == content) {
                ends[end] += 1;
                faults.cells[cell] |= ends[end] > 1;
            }
            if !seen[cell] {
                parts += 1;
                seen[cell] = true;
                let mut open = vec![cell];
                while let Some(cell) = open.pop() {
                    for next in self.size().neighbours(cell) {
                        if !seen[next] && on_route(self.cells()[next]) {
                            seen[next] = true;
                            open.push(next);
                        }
                    }
                }
            }
        }
        faults.total += ends.iter().map(|n| n.abs_diff(1)).sum::<u32>();
        faults.total += u32::saturating_sub(parts, 1);
        faults
    }
}

pub(super) fn on_route(cell: Cell) -> bool {
    matches!(cell, Cell::Route | Cell::Start | Cell::Goal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::{MazeSize, Puzzle};

    fn maze(text: &str) -> Maze {
        Maze::parse(text, None).unwrap()
    }

    #[test]
    fn conflicts_count_what_is_no_route() {
        for (text, conflicts, what) in [
            ("Soo\n##o\n##G", 0, "a route"),
            ("SG \n## \n## ", 0, "neighbours need none"),
            ("S  \n## \n##G", 3, "two ends without neighbours, apart"),
            ("So \n## \n##G", 3, "a loose end, a bare goal, apart"),
            (
                "Soo\noo \nG  ",
                4,
                "start with two neighbours, cells with three",
            ),
            ("Soo\n##o\no#G", 3, "a mark apart"),
            ("ooo\n##o\n##G", 2, "no start: a loose end instead"),
            ("###\n###\n###", 2, "neither start nor goal"),
        ] {
            assert_eq!(maze(text).conflicts(), conflicts, "{what}");
        }
        let apart = maze("Soo\n##o\no#G");
        let cells = apart.conflicting_cells();
        assert_eq!((0..9).filter(|&c| cells[c]).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn shortest_routes_are_counted() {
        for (text, routes, marked) in [
            ("S  \n # \n  G", 2, None),
            ("Soo\n  o\n  G", 6, Some(4)),
            ("S##\n## \n  G", 0, None),
            ("SG \n   \n   ", 1, Some(1)),
            ("Soo\noo#\nooG", 3, Some(4)),
        ] {
            let maze = maze(text);
            assert_eq!(maze.shortest_routes(1000), routes, "{text}");
            assert_eq!(maze.marked_distance(), marked, "{text}");
        }
        // Many more than fit a number.
        let open = Maze::empty(MazeSize::of_side(64).unwrap());
        assert_eq!(open.shortest_routes(2), 2);
        assert_eq!(open.distance(), Some(126));
    }

    #[test]
    fn any_shortest_route_solves_and_no_other() {
        let question = maze("S  \n # \n  G");
        assert_eq!(question.distance(), Some(4));
        let route = question.shortest_route().unwrap();
        assert_eq!(route, [3, 6, 7], "down comes first");
        assert!(question.marked(&route).solves(&question));
        for (text, fault) in [
            ("Soo\n #o\n  G", None),
            ("S  \no# \nooG", None),
            ("Soo\no#o\nooG", Some("6 cells are marked")),
            ("So \n #o\n  G", Some("do not lead")),
            ("Soo\n  o\n  G", Some("changes a wall")),
        ] {
            let found = maze(text).fault(&question);
            match fault {
                None => assert_eq!(found, None, "{text}"),
                Some(part) => assert!(
                    found.as_ref().is_some_and(|f| f.contains(part)),
                    "{found:?}"
                ),
            }
        }
        assert_eq!(maze("S#\n#G").shortest_route(), None);
    }
}
