//! The characters that people write digits with: beyond 9 there are several
//! ways.

use super::shape::Shape;

/// How the symbols of a board are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numerals {
    /// 1 to 9, then A for 10, B for 11 and so on: this project's own way.
    FromOne,
    /// 0 to 9, then A: each is one less than the digit. Blanks are dots.
    FromZero,
    /// Letters alone, A for 1.
    Letters,
}

impl Numerals {
    /// The way in which some cells are written. What is written the project's
    /// own way is always read so: the others are seen by what it does not have.
    #[must_use]
    pub fn of(shape: Shape, cells: &[char]) -> Self {
        let side = shape.side();
        if side <= 9 {
            return Self::FromOne;
        }
        let any = |wanted: &dyn Fn(char) -> bool| cells.iter().any(|&c| wanted(c));
        let digits = any(&|c| matches!(c, '1'..='9'));
        let beyond = |own: Self| any(&|c| own.value(c).is_some_and(|v| usize::from(v) > side));
        if !digits && beyond(Self::FromOne) {
            Self::Letters
        } else if any(&|c| c == '0') && any(&|c| matches!(c, '.' | '_')) && !beyond(Self::FromZero)
        {
            Self::FromZero
        } else {
            Self::FromOne
        }
    }

    /// The value of a character, 0 for a blank; none if it is no cell. It may be
    /// larger than a board has.
    #[must_use]
    pub fn value(self, character: char) -> Option<u8> {
        let letter = |first: u8| {
            let upper = character.to_ascii_uppercase();
            upper
                .is_ascii_uppercase()
                .then(|| upper as u8 - b'A' + first)
        };
        match (self, character) {
            (_, '.' | '_') => Some(0),
            (Self::FromOne | Self::Letters, '0'..='9') => Some(character as u8 - b'0'),
            (Self::FromZero, '0'..='9') => Some(character as u8 - b'0' + 1),
            (Self::FromOne, _) => letter(10),
            (Self::FromZero, _) => letter(11),
            (Self::Letters, _) => letter(1),
        }
    }

    /// What they are called in messages.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::FromOne => "1 to 9, then A for 10",
            Self::FromZero => "0 for the first, 9 for the tenth, then A",
            Self::Letters => "A for 1, B for 2",
        }
    }
}

/// The character of a digit, this project's own way; `.` for 0.
#[must_use]
pub fn digit_char(digit: u8) -> char {
    match digit {
        0 => '.',
        1..=9 => char::from(b'0' + digit),
        more => char::from(b'A' + (more - 10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_seen_by_what_the_others_lack() {
        let of = |shape, text: &str| Numerals::of(shape, &text.chars().collect::<Vec<_>>());
        assert_eq!(of(Shape::S9, "0.5"), Numerals::FromOne);
        assert_eq!(of(Shape::S16, "1..G"), Numerals::FromOne);
        assert_eq!(of(Shape::S16, "100G"), Numerals::FromOne);
        assert_eq!(of(Shape::S16, "0..F"), Numerals::FromZero);
        assert_eq!(of(Shape::S16, "A..P"), Numerals::Letters);
        assert_eq!(of(Shape::S16, "A..G"), Numerals::FromOne);
        assert_eq!(of(Shape::S25, "Y..a"), Numerals::Letters);
        assert_eq!(of(Shape::S10, "0..9"), Numerals::FromZero);
        assert_eq!(Numerals::Letters.value('y'), Some(25));
        assert_eq!(Numerals::FromZero.value('F'), Some(16));
        assert_eq!(Numerals::FromOne.value('?'), None);
    }

    #[test]
    fn every_digit_reads_back() {
        for digit in 0..=Shape::LARGEST as u8 {
            assert_eq!(Numerals::FromOne.value(digit_char(digit)), Some(digit));
        }
    }
}
