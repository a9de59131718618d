//! Rows of a batch taken out of arrays that have it as their first axis.

/// Leaves the rows that are kept; there are as many as `kept` is long.
pub(in crate::cpu) fn retain<T: Copy>(values: &mut Vec<T>, kept: &[bool]) {
    let width = values.len() / kept.len().max(1);
    let mut end = 0;
    for (row, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        values.copy_within(row * width..(row + 1) * width, end);
        end += width;
    }
    values.truncate(end);
}

/// The same of a copy.
pub(super) fn keep<T: Copy>(values: &[T], kept: &[bool]) -> Vec<T> {
    let mut values = values.to_vec();
    retain(&mut values, kept);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_in_order() {
        let values = [1, 2, 3, 4, 5, 6];
        assert_eq!(keep(&values, &[false, true, true]), [3, 4, 5, 6]);
        assert_eq!(keep(&values, &[true, false, true]), [1, 2, 5, 6]);
        assert_eq!(keep(&values, &[true; 6]), values);
        assert!(keep(&values, &[false; 2]).is_empty());
        assert!(keep::<u8>(&[], &[true, false]).is_empty());
    }
}
