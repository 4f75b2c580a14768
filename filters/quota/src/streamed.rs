//! Answers that stream: what is set aside for them grows as they pass.
//!
//! A token is at least one byte of what an answer shows, so the bytes that have passed bound the
//! tokens that have been generated of it; beside them there is what the model keeps to itself
//! (`hidden_output_tokens`), and what the provider has generated and nobody has seen yet
//! (`ahead_tokens`). An answer goes on only while its reservations cover the first two. So what
//! it uses over them is the third at most, and only where it has used all that was set aside for
//! it, which was `estimate_tokens` at least: over all answers of a window together no more than
//! the limit times `ahead_tokens / estimate_tokens`.

use sekisho_domain::{Meter, Micros, Price, StreamCut, Tokens, Usage};

use crate::Reservation;

/// An answer whose reservations grow as it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// The most that it can use, whatever it shows.
    worst: Usage,
    price: Price,
    /// Tokens of all its choices that are never shown.
    hidden: u64,
    choices: u64,
    /// Tokens that have been shown, at most.
    shown: u64,
    /// Tokens of all its choices that the provider may be ahead.
    ahead: u64,
}

impl Streamed {
    /// An answer of which nothing has come yet. `hidden`: tokens of each choice that are never
    /// shown, at most.
    #[must_use]
    pub fn new(worst: Usage, price: Price, hidden: Tokens, choices: u64) -> Self {
        Self {
            worst,
            price,
            hidden: hidden.0.saturating_mul(choices),
            choices,
            shown: 0,
            ahead: 0,
        }
    }

    /// What has been used at most when so many tokens have been shown.
    fn most(&self, shown: u64) -> (Usage, Micros) {
        let output = self.hidden.saturating_add(shown);
        let usage = Usage {
            output: Tokens(output).min(self.worst.output),
            ..self.worst
        };
        (usage, self.price.most(&usage))
    }

    /// How much of a meter must be set aside so that so many tokens may be shown.
    pub(crate) fn amount(&self, meter: Meter, shown: u64) -> u64 {
        let (usage, cost) = self.most(shown);
        meter.reserved(&usage, cost)
    }

    /// Tokens that are set aside at first, and each time.
    pub(crate) const fn step(&self, cut: StreamCut) -> u64 {
        cut.estimate.0.saturating_mul(self.choices)
    }

    /// The tokens that will have been shown once `tokens` more are.
    pub(crate) const fn with(&self, tokens: u64) -> u64 {
        self.shown.saturating_add(tokens)
    }

    pub(crate) const fn show(&mut self, tokens: u64) {
        self.shown = self.with(tokens);
    }

    /// Whether budgets from which it was reserved follow it; notes how far ahead its provider
    /// may be for them.
    pub fn is_followed_by(&mut self, reservations: &[Reservation]) -> bool {
        let cuts = reservations.iter().filter_map(|held| held.cut);
        let ahead = cuts.map(|cut| cut.ahead.0.saturating_mul(self.choices));
        let most = ahead.max();
        self.ahead = most.unwrap_or(0);
        most.is_some()
    }

    /// What it has used at most. `is_whole`: its provider has ended it, so there is nothing of it
    /// that has not come.
    #[must_use]
    pub fn used(&self, is_whole: bool) -> Usage {
        let ahead = if is_whole { 0 } else { self.ahead };
        self.most(self.with(ahead)).0
    }
}
