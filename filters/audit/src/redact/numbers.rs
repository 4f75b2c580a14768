//! Numbers that name somebody or something: cards, My Numbers, telephones.

use super::ahead::Ahead;
use super::{Found, Kind, is_word};

/// Most digits of a number that is looked at.
const MOST_DIGITS: usize = 19;

/// Digits with at most one separator between two of them.
#[derive(Default)]
struct Number {
    digits: [u8; MOST_DIGITS],
    count: usize,
    /// Where groups of digits end: how many digits and how many characters until there.
    ends: [(usize, usize); MOST_DIGITS],
    groups: usize,
}

/// A number of a person or a card.
pub(super) fn find([earlier, before]: [u8; 2], first: u8, ahead: &Ahead<'_>) -> Option<Found> {
    let found = |kind| move |length| Found::new(kind, length);
    match first {
        b'+' => return international(ahead).map(found(Kind::Phone)),
        b'(' => return in_parentheses(ahead).map(found(Kind::Phone)),
        b'0'..=b'9' => {}
        _ => return None,
    }
    // The fraction of a number is none.
    if before.is_ascii_digit() || (before == b'.' && earlier.is_ascii_digit()) {
        return None;
    }
    let number = Number::read(ahead, 0);
    let card = number
        .longest(|digits, _| is_card(digits))
        .map(found(Kind::Card));
    if card.is_some() || is_word(before) {
        return card;
    }
    let my_number = number.longest(|digits, _| is_my_number(digits));
    my_number.map(found(Kind::MyNumber)).or_else(|| {
        let phone = number.longest(is_phone);
        phone.map(found(Kind::Phone))
    })
}

impl Number {
    /// What stands from there on.
    fn read(ahead: &Ahead<'_>, from: usize) -> Self {
        let mut number = Self::default();
        let mut is_in_group = false;
        let mut at = 0;
        while let Some(character) = ahead.at(from + at) {
            if character.is_ascii_digit() {
                let Some(digit) = number.digits.get_mut(number.count) else {
                    return number; // goes on: this group has no end
                };
                *digit = character - b'0';
                number.count += 1;
                is_in_group = true;
            } else {
                if !is_in_group {
                    return number;
                }
                number.end_group(at);
                is_in_group = false;
                if !matches!(character, b'-' | b' ') {
                    return number;
                }
            }
            at += 1;
        }
        if is_in_group {
            number.end_group(at);
        }
        number
    }

    fn end_group(&mut self, at: usize) {
        if let Some(end) = self.ends.get_mut(self.groups) {
            *end = (self.count, at);
            self.groups += 1;
        }
    }

    /// Length of the longest number from the first digit to the end of a group that is such a
    /// one, by its digits and the ends of its groups.
    fn longest(&self, is_one: impl Fn(&[u8], &[(usize, usize)]) -> bool) -> Option<usize> {
        let mut ends = (1..=self.groups)
            .rev()
            .filter_map(|groups| self.ends.get(..groups));
        ends.find_map(|ends| {
            let (count, length) = ends.last()?;
            let digits = self.digits.get(..*count)?;
            is_one(digits, ends).then_some(*length)
        })
    }
}

/// ISO/IEC 7812-1: 13 to 19 digits whose check digit is right (Luhn), of an industry that issues
/// payment cards.
fn is_card(digits: &[u8]) -> bool {
    if !matches!(digits.first(), Some(2..=6)) || !(13..=19).contains(&digits.len()) {
        return false;
    }
    let places = digits.iter().rev().enumerate();
    let weighted = places.map(|(place, digit)| match (place % 2, u32::from(*digit)) {
        (0, digit) => digit,
        (_, digit) if digit > 4 => 2 * digit - 9,
        (_, digit) => 2 * digit,
    });
    weighted.sum::<u32>().is_multiple_of(10)
}

/// The individual number of Japan: 12 digits, the last of which checks the others (Order of the
/// Ministry of Internal Affairs and Communications No. 85 of 2014, article 5).
fn is_my_number(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last().filter(|(_, digits)| digits.len() == 11) else {
        return false;
    };
    let weighted = digits.iter().rev().zip([2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6]);
    let rest = weighted
        .map(|(digit, by)| u32::from(*digit) * by)
        .sum::<u32>()
        % 11;
    u32::from(*check) == if rest <= 1 { 0 } else { 11 - rest }
}

/// As numbers are written in Japan, with or without hyphens, and in North America with them.
fn is_phone(digits: &[u8], ends: &[(usize, usize)]) -> bool {
    match digits {
        // Mobile and IP telephones.
        [0, 5..=9, 0, ..] if digits.len() == 11 => true,
        [0, second, ..] if digits.len() == 10 => *second != 0,
        _ => matches!(ends, [(3, _), (6, _), (10, _)]),
    }
}

/// `+81 90-1234-5678`: 8 to 15 digits (ITU-T E.164) and what is put between them.
fn international(ahead: &Ahead<'_>) -> Option<usize> {
    let (mut digits, mut length, mut between) = (0, 0, 0);
    for at in 1..=40 {
        match ahead.at(at) {
            Some(b'0'..=b'9') => (digits, length, between) = (digits + 1, at + 1, 0),
            Some(b' ' | b'-' | b'.' | b'(' | b')') if between < 2 && digits > 0 => between += 1,
            _ => break,
        }
    }
    (8..=15).contains(&digits).then_some(length)
}

/// `(03) 1234-5678`, `(415) 555-0132`.
fn in_parentheses(ahead: &Ahead<'_>) -> Option<usize> {
    let area = ahead.run(1, 5, |c| c.is_ascii_digit());
    let close = 1 + area;
    if area < 2 || ahead.at(close) != Some(b')') {
        return None;
    }
    let space = usize::from(matches!(ahead.at(close + 1), Some(b' ' | b'-')));
    let begin = close + 1 + space;
    let number = Number::read(ahead, begin);
    let length = number.longest(|digits, _| (9..=11).contains(&(digits.len() + area)))?;
    Some(begin + length)
}
