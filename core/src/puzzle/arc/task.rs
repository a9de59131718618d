//! A task and its public JSON form.

use serde_json::Value;

use super::grid::Grid;
use super::symmetry::ArcSymmetry;

/// A question with its answer, where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// What is given.
    pub input: Grid,
    /// What is asked for.
    pub output: Option<Grid>,
}

impl Pair {
    /// The pair rewritten.
    #[must_use]
    pub fn rewritten(&self, symmetry: ArcSymmetry) -> Self {
        Self {
            input: symmetry.apply(&self.input),
            output: self.output.as_ref().map(|grid| symmetry.apply(grid)),
        }
    }
}

/// A task: demonstrations of a rule that nobody says, and tests of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The demonstrations, whose answers are all known.
    pub train: Vec<Pair>,
    /// The tests.
    pub test: Vec<Pair>,
}

/// Why a JSON text is no task: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct TaskError {
    /// The task and the part of it.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

fn error(place: impl Into<String>, what: impl Into<String>) -> TaskError {
    TaskError {
        place: place.into(),
        what: what.into(),
    }
}

impl Task {
    /// The tasks of a JSON value: one task, which is then called `name`
    /// unless it says its own, or an object of many by name.
    ///
    /// # Errors
    /// Names the task, the pair and the cell that is off.
    pub fn of_json(name: &str, value: &Value) -> Result<Vec<Self>, TaskError> {
        let Some(map) = value.as_object() else {
            return Err(error(
                name,
                "a task is an object with \"train\" and \"test\"",
            ));
        };
        if map.contains_key("train") {
            let name = map.get("name").and_then(Value::as_str).unwrap_or(name);
            return Ok(vec![Self::one(name, value)?]);
        }
        if map.is_empty() {
            return Err(error(name, "there is no task in it"));
        }
        map.iter()
            .map(|(name, value)| Self::one(name, value))
            .collect()
    }

    fn one(name: &str, value: &Value) -> Result<Self, TaskError> {
        let place = format!("task {name}");
        let train = pairs(&place, value, "train")?;
        if train.is_empty() {
            return Err(error(place, "there are no \"train\" pairs"));
        }
        if let Some(at) = train.iter().position(|pair| pair.output.is_none()) {
            let what = format!("train pair {} has no \"output\"", at + 1);
            return Err(error(place, what));
        }
        Ok(Self {
            name: name.to_owned(),
            train,
            test: pairs(&place, value, "test")?,
        })
    }

    /// Gives the tests of tasks the answers of a JSON value, an object of lists of grids by
    /// task; returns how many tasks it holds answers for.
    ///
    /// # Errors
    /// Names the task that has another number of tests than there are answers, and the answer
    /// that is no grid.
    pub fn solve_with(tasks: &mut [Self], solutions: &Value) -> Result<usize, TaskError> {
        let Some(map) = solutions.as_object() else {
            return Err(error(
                "solutions",
                "an object of lists of grids is expected",
            ));
        };
        let mut solved = 0;
        for task in tasks {
            let Some(value) = map.get(&task.name) else {
                continue;
            };
            let place = format!("solutions of task {}", task.name);
            let list = value
                .as_array()
                .ok_or_else(|| error(place.clone(), "a list of grids is expected"))?;
            if list.len() != task.test.len() {
                let what = format!("there are {} for {} tests", list.len(), task.test.len());
                return Err(error(place, what));
            }
            for (at, (pair, value)) in task.test.iter_mut().zip(list).enumerate() {
                pair.output = Some(grid(&format!("{place}, number {}", at + 1), value)?);
            }
            solved += 1;
        }
        Ok(solved)
    }

    /// The task rewritten.
    #[must_use]
    pub fn rewritten(&self, symmetry: ArcSymmetry) -> Self {
        let all = |pairs: &[Pair]| pairs.iter().map(|p| p.rewritten(symmetry)).collect();
        Self {
            name: self.name.clone(),
            train: all(&self.train),
            test: all(&self.test),
        }
    }
}

fn pairs(place: &str, task: &Value, part: &str) -> Result<Vec<Pair>, TaskError> {
    let list = task
        .get(part)
        .and_then(Value::as_array)
        .ok_or_else(|| error(place, format!("there is no list {part:?}")))?;
    let one = |(at, pair): (usize, &Value)| {
        let place = format!("{place}, {part} pair {}", at + 1);
        let input = pair
            .get("input")
            .ok_or_else(|| error(place.clone(), "there is no \"input\""))?;
        let output = pair.get("output").filter(|value| !value.is_null());
        Ok(Pair {
            input: grid(&format!("{place}, input"), input)?,
            output: output
                .map(|value| grid(&format!("{place}, output"), value))
                .transpose()?,
        })
    };
    list.iter().enumerate().map(one).collect()
}

fn grid(place: &str, value: &Value) -> Result<Grid, TaskError> {
    serde_json::from_value(value.clone()).map_err(|e| error(place, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    const ONE: &str =
        r#"{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]}"#;

    #[test]
    fn one_task_or_many_with_or_without_solutions() {
        let [task] = &Task::of_json("a", &json(ONE)).unwrap()[..] else {
            panic!("not one")
        };
        assert_eq!((task.name.as_str(), task.train.len()), ("a", 1));
        assert_eq!(task.test[0].output, None);
        let many = format!(r#"{{"x": {ONE}, "y": {ONE}}}"#);
        let mut tasks = Task::of_json("file", &json(&many)).unwrap();
        assert_eq!(tasks.len(), 2);
        let solutions = json(r#"{"y": [[[4, 5]]], "z": []}"#);
        assert_eq!(Task::solve_with(&mut tasks, &solutions), Ok(1));
        let answer = |task: &Task| task.test[0].output.as_ref().map(Grid::to_string);
        assert_eq!(answer(&tasks[0]), None);
        assert_eq!(answer(&tasks[1]).unwrap(), "45");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let said = |text: &str| Task::of_json("a", &json(text)).unwrap_err().to_string();
        assert!(said("[]").contains("\"train\" and \"test\""));
        assert!(said("{}").contains("no task"));
        assert!(said(r#"{"train": []}"#).contains("no \"train\" pairs"));
        let wrong = r#"{"b": {"train": [{"input": [[1, 12]], "output": [[2]]}], "test": []}}"#;
        let text = said(wrong);
        assert!(
            text.contains("task b, train pair 1, input") && text.contains("column 2: 12"),
            "{text}"
        );
        assert!(
            said(r#"{"train": [{"input": [[1]]}], "test": []}"#)
                .contains("train pair 1 has no \"output\"")
        );
        let mut tasks = Task::of_json("a", &json(ONE)).unwrap();
        let error = Task::solve_with(&mut tasks, &json(r#"{"a": []}"#)).unwrap_err();
        assert!(error.to_string().contains("0 for 1 tests"), "{error}");
    }
}
