//! What models with a position a (cell, symbol) have in place of tokens'
//! embeddings and attention.

use hrm_core::config::Pooling;
use hrm_core::plan::{RoleEmbedding, SCORE_LIMIT};
use hrm_core::puzzle::{Relation, TOKEN_BLANK};

use super::{Walk, proto};

impl Walk<'_> {
    /// The roles' vectors: of each token, those of all symbols in its cell.
    /// With feedback, a further input `last` [batch, cells, symbols] has the
    /// probabilities of the last answer.
    pub(super) fn roles(&mut self, e: &RoleEmbedding) -> String {
        let plan = self.plan;
        let (cells, n, d) = (plan.config.seq_len, plan.positions, plan.hidden);
        let (answers, vocabulary) = (plan.heads.answers, plan.config.vocab_size);
        let vectors = self.weights.dense(e.roles);
        let mut table = Vec::with_capacity(vocabulary * answers.count * d);
        for token in 0..vocabulary {
            for symbol in 0..answers.count {
                let role = if token == usize::from(TOKEN_BLANK) {
                    0
                } else if token == usize::from(answers.first) + symbol {
                    1
                } else {
                    2
                };
                table.extend_from_slice(&vectors[role * d..(role + 1) * d]);
            }
        }
        let g = &mut self.graph;
        let table = g.floats("roles", &[vocabulary, answers.count * d], &table);
        let of_cells = g.gather(&table, "tokens", 0);
        let apart = g.integers(&[0, n as i64, d as i64]);
        let x = g.node("Reshape", &[&of_cells, &apart]);
        let Some(id) = e.feedback else {
            return x;
        };
        let vector = self.weights.dense(id);
        let g = &mut self.graph;
        g.input("last", proto::FLOAT, &[cells, answers.count]);
        let column = g.integers(&[0, n as i64, 1]);
        let last = g.node("Reshape", &["last", &column]);
        let vector = g.floats("feedback", &[d], &vector);
        let felt = g.node("Mul", &[&last, &vector]);
        g.node("Add", &[&x, &felt])
    }

    /// The state beside the messages of all relations, from what it is
    /// projected to.
    pub(super) fn joined(
        &mut self,
        x: &str,
        projected: &str,
        message: usize,
        pooling: Pooling,
    ) -> String {
        let relations = &self.plan.relations;
        let parts = vec![message; pooling.parts() * relations.len()];
        let parts = self.graph.split(projected, 2, &parts);
        let mut joined = vec![x.to_owned()];
        for (relation, parts) in relations.iter().zip(parts.chunks_exact(pooling.parts())) {
            joined.push(self.message(relation, parts, message));
        }
        let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
        self.graph.concat(&joined, 2)
    }

    /// The message of every position's group, from scores and values, or values
    /// alone.
    fn message(&mut self, relation: &Relation, parts: &[String], width: usize) -> String {
        let g = &mut self.graph;
        let members = g.indices(&format!("members by {}", relation.name), &relation.members);
        let group_of = g.indices(&format!("groups by {}", relation.name), &relation.group_of);
        let apart = [relation.groups(), relation.size, width].map(|n| n as i64);
        let apart = g.integers(&[0, apart[0], apart[1], apart[2]]);
        let mut by_group = |x: &str| {
            let x = g.gather(x, &members, 1);
            g.node("Reshape", &[&x, &apart])
        };
        let messages = match parts {
            [scores, values] => {
                let (scores, values) = (by_group(scores), by_group(values));
                let [low, high] = [-SCORE_LIMIT, SCORE_LIMIT].map(|limit| g.float(limit));
                let scores = g.node("Clip", &[&scores, &low, &high]);
                let weights = g.node("Exp", &[&scores]);
                let weighted = g.node("Mul", &[&weights, &values]);
                let [sum, all] = [weighted, weights].map(|x| g.mean(&x, 2, false));
                g.node("Div", &[&sum, &all])
            }
            parts => {
                let values = parts.iter().map(|values| by_group(values));
                let values: Vec<String> = values.collect();
                g.mean(values.last().map_or("", String::as_str), 2, false)
            }
        };
        g.gather(&messages, &group_of, 1)
    }
}
