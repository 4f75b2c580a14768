//! The figures of an answer: of each the latest that was said.

use std::ops::Range;

use sekisho_domain::{Tokens, Usage};

use super::{FIGURES, Figure};
use crate::json::{Fault, Visit};

/// The latest figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// One bit per figure.
    seen: u32,
    counts: [u64; FIGURES],
    /// The list of modalities that is being read.
    list: Figure,
    /// Of its current entry.
    entry: Entry,
    by_modality: [ByModality; 3],
}

/// Tokens of a list by what they are of.
#[derive(Clone, Copy, Debug, Default)]
struct ByModality {
    audio: u64,
    image: u64,
}

/// One entry of such a list, as far as it has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    modality: Option<Modality>,
    tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modality {
    Audio,
    Image,
    Other,
}

impl Tally {
    pub(crate) const EMPTY: Self = Self {
        seen: 0,
        counts: [0; FIGURES],
        list: Figure::Within,
        entry: Entry {
            modality: None,
            tokens: None,
        },
        by_modality: [ByModality { audio: 0, image: 0 }; 3],
    };

    pub(crate) const fn has(&self, figure: Figure) -> bool {
        self.seen & (1 << figure as u32) != 0
    }

    fn of(&self, figure: Figure) -> u64 {
        self.counts.get(figure as usize).copied().unwrap_or(0)
    }

    /// All together, if anything was said. `draws`: output of which nothing else is said is
    /// pictures.
    pub(crate) fn usage(&self, draws: bool) -> Option<Usage> {
        if !self.has(Figure::Input) && !self.has(Figure::Output) {
            return None;
        }
        let sum = |parts: &[u64]| parts.iter().copied().fold(0, u64::saturating_add);
        let input = sum(&[
            self.of(Figure::Input),
            self.of(Figure::ToolInput),
            self.of(Figure::CacheRead),
            self.of(Figure::CacheWrite),
        ]);
        let output = sum(&[self.of(Figure::Output), self.of(Figure::Thoughts)]);
        let heard = self.listed(Figure::InputModalities, Figure::ToolModalities);
        let spoken = self.listed(Figure::OutputModalities, Figure::OutputModalities);
        let drawn = if draws && !self.has(Figure::ImageOutput) {
            output
        } else {
            sum(&[self.of(Figure::ImageOutput), spoken.image])
        };
        let of_input = |parts: &[u64]| Tokens(sum(parts).min(input));
        let of_output = |parts: &[u64]| Tokens(sum(parts).min(output));
        Some(Usage {
            input: Tokens(input),
            output: Tokens(output),
            cached_input: of_input(&[self.of(Figure::CachedInput), self.of(Figure::CacheRead)]),
            cache_write_input: of_input(&[
                self.of(Figure::CacheWriteInput),
                self.of(Figure::CacheWrite),
            ]),
            audio_input: of_input(&[self.of(Figure::AudioInput), heard.audio]),
            image_input: of_input(&[self.of(Figure::ImageInput), heard.image]),
            reasoning_output: of_output(&[self.of(Figure::Reasoning), self.of(Figure::Thoughts)]),
            audio_output: of_output(&[self.of(Figure::AudioOutput), spoken.audio]),
            image_output: of_output(&[drawn]),
            ..Usage::default()
        })
    }

    /// The sum of two lists; of one, if they are the same.
    fn listed(&self, one: Figure, other: Figure) -> ByModality {
        let of = |list| {
            let at = place(list).and_then(|at| self.by_modality.get(at));
            at.copied().unwrap_or_default()
        };
        let (first, second) = (of(one), of(other));
        if one == other {
            return first;
        }
        ByModality {
            audio: first.audio.saturating_add(second.audio),
            image: first.image.saturating_add(second.image),
        }
    }

    /// Takes the entry into its list, once both of its halves are there.
    fn list_entry(&mut self) {
        let Entry {
            modality: Some(modality),
            tokens: Some(tokens),
        } = self.entry
        else {
            return;
        };
        self.entry = Entry::default();
        let Some(list) = place(self.list).and_then(|at| self.by_modality.get_mut(at)) else {
            return;
        };
        let sum = match modality {
            Modality::Audio => &mut list.audio,
            Modality::Image => &mut list.image,
            Modality::Other => return,
        };
        *sum = sum.saturating_add(tokens);
    }
}

const fn place(list: Figure) -> Option<usize> {
    match list {
        Figure::InputModalities => Some(0),
        Figure::ToolModalities => Some(1),
        Figure::OutputModalities => Some(2),
        _ => None,
    }
}

impl Visit for Tally {
    type Field = Figure;

    fn member(&mut self, figure: Figure) -> Result<(), Fault> {
        match figure {
            // Each part of a stream lists anew what was used up to there.
            Figure::InputModalities | Figure::ToolModalities | Figure::OutputModalities => {
                self.list = figure;
                self.entry = Entry::default();
                if let Some(list) = place(figure).and_then(|at| self.by_modality.get_mut(at)) {
                    *list = ByModality::default();
                }
            }
            Figure::Modality => self.entry.modality = None,
            _ => {}
        }
        Ok(())
    }

    fn element(&mut self) {
        self.entry = Entry::default();
    }

    fn text(&mut self, figure: Figure, part: &[u8]) -> Result<(), Fault> {
        // The first letter tells them apart: a part has at least one, however it was cut.
        if figure == Figure::Modality
            && self.entry.modality.is_none()
            && let Some(first) = part.first()
        {
            self.entry.modality = Some(match first {
                b'A' => Modality::Audio,
                b'I' | b'V' => Modality::Image,
                _ => Modality::Other,
            });
        }
        Ok(())
    }

    fn text_end(&mut self, figure: Figure, _span: Range<u64>) {
        if figure == Figure::Modality {
            self.list_entry();
        }
        self.seen |= 1 << figure as u32;
    }

    fn count(&mut self, figure: Figure, value: u64, _span: Range<u64>) {
        if figure == Figure::OfModality {
            self.entry.tokens = Some(value);
            self.list_entry();
        } else if let Some(slot) = self.counts.get_mut(figure as usize) {
            *slot = value;
            self.seen |= 1 << figure as u32;
        }
    }
}
