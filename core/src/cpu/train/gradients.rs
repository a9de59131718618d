//! What a backward pass comes to.

/// Gradients of a loss by a plan's tensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gradients {
    /// In the plan's order; empty for tensors that are not trained. Of the table
    /// of puzzle embeddings there are only the rows of [`Self::rows`], so that
    /// its size costs nothing.
    pub tensors: Vec<Vec<f32>>,
    /// The puzzle identifiers in use, ascending; none without such a table.
    pub rows: Vec<u32>,
}

/// Identifiers, each once, ascending.
pub(crate) fn distinct(identifiers: &[u32]) -> Vec<u32> {
    let mut rows = identifiers.to_vec();
    rows.sort_unstable();
    rows.dedup();
    rows
}

impl Gradients {
    /// The gradients of a table, given its rows here, with the rows of both:
    /// those that only the other has are zero.
    fn widened(&self, table: usize, width: usize, rows: &[u32]) -> Vec<f32> {
        let mut values = vec![0.0; rows.len() * width];
        let own = self.tensors[table].chunks_exact(width);
        for (row, own) in self.rows.iter().zip(own) {
            // Rows hold those of both.
            let Ok(at) = rows.binary_search(row) else {
                continue;
            };
            values[at * width..(at + 1) * width].copy_from_slice(own);
        }
        values
    }

    /// Gives both the same rows of the table at this place, `width` values
    /// each.
    pub(crate) fn align(&mut self, other: &mut Self, table: usize, width: usize) {
        if self.rows == other.rows {
            return;
        }
        let rows = distinct(&[self.rows.as_slice(), &other.rows].concat());
        for gradients in [self, other] {
            gradients.tensors[table] = gradients.widened(table, width, &rows);
            gradients.rows.clone_from(&rows);
        }
    }

    /// The same with the whole table, `[count, width]`, zero in the rows that
    /// are not in use.
    pub(crate) fn whole(self, table: usize, [count, width]: [usize; 2]) -> Vec<Vec<f32>> {
        let rows: Vec<u32> = (0..count as u32).collect();
        let values = self.widened(table, width, &rows);
        let mut tensors = self.tensors;
        tensors[table] = values;
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_are_aligned() {
        let of = |rows: &[u32], values: &[f32]| Gradients {
            tensors: vec![vec![9.0], values.to_vec()],
            rows: rows.to_vec(),
        };
        let mut a = of(&[1, 5], &[1.0, 2.0, 3.0, 4.0]);
        let mut b = of(&[0, 5], &[5.0, 6.0, 7.0, 8.0]);
        a.align(&mut b, 1, 2);
        assert_eq!(
            (a.rows.as_slice(), b.rows.as_slice()),
            (&[0, 1, 5][..], &[0, 1, 5][..])
        );
        assert_eq!(a.tensors[1], [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(b.tensors[1], [5.0, 6.0, 0.0, 0.0, 7.0, 8.0]);
        assert_eq!(a.tensors[0], [9.0]);
        let whole = of(&[1], &[3.0, 4.0]).whole(1, [3, 2]);
        assert_eq!(whole[1], [0.0, 0.0, 3.0, 4.0, 0.0, 0.0]);
        assert_eq!(distinct(&[4, 1, 4]), [1, 4]);
    }
}
