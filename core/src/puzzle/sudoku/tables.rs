//! What the exact solver looks up, computed once for each shape.

// Bands, rows and boxes index several arrays at once.
#![allow(clippy::needless_range_loop)]

use std::sync::LazyLock;

use super::shape::Shape;

/// Bands of boxes in the largest shape, and one more, always empty, that makes a bit
/// set a whole SIMD vector.
pub(super) const BANDS: usize = 4;

/// Candidates of one digit: for each band, one bit per cell (row by row, at most
/// 27). Smaller shapes leave high bits and the last bands at zero.
pub(super) type Bits = [u32; BANDS];

/// Masks of one shape.
pub(super) struct Tables {
    pub(super) shape: Shape,
    /// All cells.
    pub(super) full: Bits,
    /// For each row of a band, its bits.
    pub(super) rows: [u32; 3],
    /// For each box of a band, its bits.
    pub(super) boxes: [u32; 3],
    /// For each cell, the cells that share a house with it.
    pub(super) peers: Vec<Bits>,
    /// For the candidates of one digit in one row: bit `s` says whether box `s` has one.
    pub(super) segments: Vec<u8>,
    /// For the candidates of one digit in a band, given as one bit per row and box
    /// (bit `row * box_rows + box`): the cells that can hold it when each row and
    /// each box of the band needs one; 0 if that is impossible.
    pub(super) band_locks: Vec<u32>,
    /// The same for a stack, as one bit per band and column (bit
    /// `band * box_cols + column`), before and after.
    pub(super) stack_locks: Vec<u16>,
}

impl Tables {
    /// The tables of a shape.
    pub(super) fn of(shape: Shape) -> &'static Self {
        static ALL: LazyLock<[Tables; 3]> = LazyLock::new(|| Shape::COMMON.map(Tables::new));
        match shape.side() {
            4 => &ALL[0],
            6 => &ALL[1],
            _ => &ALL[2],
        }
    }

    fn new(shape: Shape) -> Self {
        let side = shape.side();
        let mut full = [0; BANDS];
        let mut rows = [0; 3];
        let mut boxes = [0; 3];
        for cell in 0..shape.cells() {
            let (band, bit) = split(shape, cell);
            full[band] |= bit;
            rows[shape.row(cell) % shape.box_rows()] |= bit;
            boxes[shape.column(cell) / shape.box_cols()] |= bit;
        }
        let peers = (0..shape.cells())
            .map(|cell| {
                let mut bits = [0; BANDS];
                for other in (0..shape.cells()).filter(|&o| shape.see_each_other(cell, o)) {
                    let (band, bit) = split(shape, other);
                    bits[band] |= bit;
                }
                bits
            })
            .collect();
        let segments = (0..1_usize << side)
            .map(|row| {
                (0..side)
                    .filter(|column| row >> column & 1 == 1)
                    .fold(0, |seen, column| seen | 1 << (column / shape.box_cols()))
            })
            .collect();
        let band_locks = locks(shape.box_rows())
            .into_iter()
            .map(|kept| {
                let mut cells = 0;
                for row in 0..shape.box_rows() {
                    for stack in 0..shape.stacks() {
                        if kept >> (row * shape.box_rows() + stack) & 1 == 1 {
                            cells |= rows[row] & boxes[stack];
                        }
                    }
                }
                cells
            })
            .collect();
        Self {
            shape,
            full,
            rows,
            boxes,
            peers,
            segments,
            band_locks,
            stack_locks: locks(shape.box_cols()),
        }
    }
}

/// Band and bit of a cell.
pub(super) fn split(shape: Shape, cell: usize) -> (usize, u32) {
    let size = shape.box_rows() * shape.side();
    (cell / size, 1 << (cell % size))
}

/// For every set of squares of an n x n grid, the squares that lie on a full set of
/// n squares with one in each row and each column. The digit of a band (a stack)
/// is such a set, so the other squares can be struck out.
fn locks(n: usize) -> Vec<u16> {
    let mut arrangements = vec![];
    for choice in 0..n.pow(n as u32) {
        let columns: Vec<usize> = (0..n).map(|row| choice / n.pow(row as u32) % n).collect();
        let used = columns.iter().fold(0_u16, |used, c| used | 1 << c);
        if used.count_ones() as usize == n {
            arrangements.push((0..n).fold(0_u16, |squares, row| {
                squares | 1 << (row * n + columns[row])
            }));
        }
    }
    (0..1_u16 << (n * n))
        .map(|squares| {
            arrangements
                .iter()
                .filter(|&&a| a & squares == a)
                .fold(0, |kept, a| kept | a)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_keep_what_fits() {
        let two = locks(2);
        // Both diagonals, one diagonal and a stray, no diagonal.
        assert_eq!(two[0b1111], 0b1111);
        assert_eq!(two[0b1011], 0b1001);
        assert_eq!(two[0b0011], 0);
        let three = locks(3);
        assert_eq!(three.len(), 512);
        // The first row only in the first column: pointing strikes out the rest
        // of that column.
        assert_eq!(three[0b111_111_001], 0b110_110_001);
        assert_eq!(three[0b001_001_001], 0);
    }

    #[test]
    fn masks_cover_the_board() {
        for shape in Shape::COMMON {
            let tables = Tables::of(shape);
            let cells: u32 = tables.full.iter().map(|b| b.count_ones()).sum();
            assert_eq!(cells as usize, shape.cells());
            for cell in 0..shape.cells() {
                let peers: u32 = tables.peers[cell].iter().map(|b| b.count_ones()).sum();
                let in_box = (shape.box_rows() - 1) * (shape.box_cols() - 1);
                assert_eq!(peers as usize, 2 * (shape.side() - 1) + in_box);
            }
            assert_eq!(tables.rows.iter().fold(0, |a, b| a | b), tables.full[0]);
            assert_eq!(tables.boxes.iter().fold(0, |a, b| a | b), tables.full[0]);
        }
    }
}
