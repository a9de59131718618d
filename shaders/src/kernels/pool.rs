//! The messages of a puzzle's relations.

use hrm_core::config::Pooling;
use hrm_core::engine::EngineError;
use hrm_core::plan::SCORE_LIMIT;
use hrm_core::puzzle::Relation;

use super::Kernels;
use crate::context::GpuContext;
use crate::kernel::{Array, Dispatch, PART_ALIGNMENT, check_fours, check_shape};

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    positions: u32,
    message4: u32,
    width4: u32,
    limit: f32,
}

/// The relations of a puzzle, and where the messages of a batch lie: those of
/// one relation after those of the other, each `[sequences, groups, width]`.
#[derive(Debug)]
pub(crate) struct Groups {
    /// `[relations, 4]`: groups, members of a group, place of the first one's
    /// members, its row.
    relations: Array,
    /// Members of all groups.
    members: Array,
    /// `[positions, relations, 2]`: the row of a position's group in the first
    /// sequence, and rows from sequence to sequence.
    pub(crate) places: Array,
    /// Of each relation its first row and the rows of all sequences.
    spans: Vec<[usize; 2]>,
    most: usize,
    sequences: usize,
}

impl Groups {
    /// For so many sequences.
    pub(crate) fn new(
        context: &GpuContext,
        relations: &[Relation],
        sequences: usize,
    ) -> Result<Self, EngineError> {
        let (mut table, mut members, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        for relation in relations {
            let groups = relation.groups();
            table.extend([groups, relation.size, members.len(), row].map(|n| n as u32));
            members.extend_from_slice(&relation.members);
            let rows = sequences * groups;
            spans.push([row, rows]);
            // Rows have four elements at least: a relation is a part of an
            // array whatever the width.
            row += rows.next_multiple_of(PART_ALIGNMENT / 4);
        }
        let positions = relations.first().map_or(0, |r| r.group_of.len());
        let mut places = Vec::with_capacity(positions * relations.len() * 2);
        for position in 0..positions {
            for (relation, [first, _]) in relations.iter().zip(&spans) {
                let group = relation.group_of[position];
                places.extend([*first as u32 + group, relation.groups() as u32]);
            }
        }
        Ok(Self {
            relations: Array::new(context, "relations", &table)?,
            members: Array::new(context, "members", &members)?,
            places: Array::new(context, "places", &places)?,
            most: relations.iter().map(Relation::groups).max().unwrap_or(0),
            spans,
            sequences,
        })
    }

    /// Number of relations.
    pub(crate) fn count(&self) -> usize {
        self.spans.len()
    }

    /// Rows of an array of messages, those between relations included.
    pub(crate) fn rows(&self) -> usize {
        let ends = self.spans.iter().map(|[first, rows]| first + rows);
        ends.max().unwrap_or(0)
    }

    /// The rows of one relation, and how many there are.
    pub(crate) fn of_relation(
        &self,
        relation: usize,
        array: &Array,
        width: usize,
    ) -> Result<(Array, usize), EngineError> {
        let [first, rows] = self.spans[relation];
        Ok((array.part(first * width, rows * width)?, rows))
    }
}

/// `x` is `[sequences, positions, relations, parts, message]` ([`Pooling::parts`]),
/// `y` the messages, `[rows, message]` as [`Groups`] has them.
pub(crate) fn dispatch(
    kernels: &Kernels,
    positions: usize,
    message: usize,
    pooling: Pooling,
    groups: &Groups,
    x: &Array,
    y: &Array,
) -> Result<Dispatch, EngineError> {
    check_fours("pool", "message", message)?;
    let axes = [
        ("sequences", groups.sequences),
        ("positions", positions),
        ("relations", groups.count()),
        ("scores and values", pooling.parts()),
        ("message", message),
    ];
    check_shape("pool", x, &axes)?;
    check_shape("pool", y, &[("rows", groups.rows()), axes[4]])?;
    let params = Params {
        positions: positions as u32,
        message4: (message / 4) as u32,
        width4: (groups.count() * pooling.parts() * message / 4) as u32,
        limit: SCORE_LIMIT,
    };
    let (softmax, name) = match pooling {
        Pooling::Softmax => ("const SOFTMAX: bool = true;\n", "softmax"),
        Pooling::Mean => ("const SOFTMAX: bool = false;\n", "mean"),
    };
    let kernel = kernels.get(
        &format!("pool {name}"),
        &[softmax, include_str!("pool.wgsl")],
    );
    let arrays = [(1, x), (2, &groups.relations), (3, &groups.members), (4, y)];
    let workgroups = [
        (groups.most * message / 4).div_ceil(64),
        groups.sequences,
        groups.count(),
    ];
    kernel.dispatch(kernels.context(), params, &arrays, workgroups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gpu_test, rng, run, values};

    /// Two partitions of 30 positions into groups of different sizes.
    fn relations() -> Vec<Relation> {
        let relation = |name, size: usize| {
            let groups = 30 / size;
            let group_of: Vec<u32> = (0..30).map(|p| (p % groups) as u32).collect();
            let members = (0..groups).flat_map(|g| (0..size).map(move |i| (g + i * groups) as u32));
            Relation {
                name,
                size,
                members: members.collect(),
                group_of,
            }
        };
        vec![relation("pairs", 2), relation("fives", 5)]
    }

    gpu_test! {
        async fn messages_of_groups_of_any_size(context) {
            let kernels = Kernels::new(&context);
            let mut rng = rng(1);
            let relations = relations();
            for (sequences, message) in [(1, 4), (3, 12)] {
                let groups = Groups::new(&context, &relations, sequences).unwrap();
                for pooling in [Pooling::Softmax, Pooling::Mean] {
                    let width = 2 * pooling.parts();
                    // Some scores are beyond the limit.
                    let x: Vec<f32> = values(&mut rng, sequences * 30 * width * message).iter().map(|v| 12.0 * v).collect();
                    let x_array = Array::new(&context, "x", &x).unwrap();
                    let y = Array::zeros(&context, "y", groups.rows() * message).unwrap();
                    let found = run(&kernels, &[&y], || {
                        dispatch(&kernels, 30, message, pooling, &groups, &x_array, &y).unwrap()
                    }).await;
                    let at = |s: usize, p: u32, part: usize, c: usize| {
                        f64::from(x[((s * 30 + p as usize) * width + part) * message + c])
                    };
                    for (r, relation) in relations.iter().enumerate() {
                        let mut expected = Vec::new();
                        for s in 0..sequences {
                            for members in relation.members.chunks_exact(relation.size) {
                                for c in 0..message {
                                    let weight = |&p: &u32| match pooling {
                                        Pooling::Softmax => at(s, p, 2 * r, c).clamp(-10.0, 10.0).exp(),
                                        Pooling::Mean => 1.0,
                                    };
                                    let part = (r + 1) * pooling.parts() - 1;
                                    let sum: f64 = members.iter().map(|p| weight(p) * at(s, *p, part, c)).sum();
                                    expected.push(sum / members.iter().map(weight).sum::<f64>());
                                }
                            }
                        }
                        let [first, rows] = groups.spans[r];
                        let found = &found[0][first * message..][..rows * message];
                        assert_close(found, &expected, 5e-6, &format!("{}, {pooling:?}", relation.name));
                    }
                }
            }
        }
    }
}
