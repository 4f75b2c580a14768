//! How many tokens a request and its answer have: a fixed function of the
//! request, so that everybody can work out the bill by hand.

use serde::Serialize;

/// The answer is no longer than this when the request sets no limit.
const DEFAULT_OUTPUT_LIMIT: u64 = 4096;

/// Tokens read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    #[serde(rename = "input_tokens")]
    pub(crate) input: u64,
    #[serde(rename = "output_tokens")]
    pub(crate) output: u64,
}

impl Usage {
    pub(crate) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a model makes of a prompt.
pub(crate) struct Completion {
    pub(crate) usage: Usage,
    /// One per output token; joined they are the text.
    pub(crate) words: Vec<String>,
    /// The limit ended the answer, not the model.
    pub(crate) cut_short: bool,
}

impl Completion {
    /// Answers `prompt`, whose texts are the messages' texts in order, with at
    /// most `limit` tokens.
    pub(crate) fn of(prompt: &[String], limit: Option<u64>) -> Self {
        let wanted = wanted_words(prompt);
        let output = wanted.min(limit.unwrap_or(DEFAULT_OUTPUT_LIMIT));
        Self {
            usage: Usage {
                input: input_tokens(prompt),
                output,
            },
            words: words(output),
            cut_short: output < wanted,
        }
    }

    pub(crate) fn text(&self) -> String {
        self.words.concat()
    }
}

/// A token for every four bytes begun, and three more for each message.
///
/// That is never more than the request has bytes: around each text, JSON needs
/// more than three.
pub(crate) fn input_tokens(prompt: &[String]) -> u64 {
    prompt
        .iter()
        .map(|text| {
            u64::try_from(text.len().div_ceil(4))
                .unwrap_or(u64::MAX)
                .saturating_add(3)
        })
        .fold(0, u64::saturating_add)
}

/// `in 200 words` in the last text asks for that many; otherwise 12 to 31,
/// depending on the prompt's length.
fn wanted_words(prompt: &[String]) -> u64 {
    let asked = prompt.last().and_then(|text| {
        let parts: Vec<&str> = text.split_whitespace().collect();
        parts.windows(2).find_map(|pair| match pair {
            [number, unit] if unit.starts_with("words") => number.parse().ok(),
            _ => None,
        })
    });
    asked
        .unwrap_or_else(|| 12 + input_tokens(prompt) % 20)
        .max(1)
}

fn words(count: u64) -> Vec<String> {
    const TEXT: [&str; 14] = [
        "At",
        " the",
        " checkpoint",
        " every",
        " traveller",
        " shows",
        " a",
        " permit,",
        " and",
        " the",
        " keeper",
        " writes",
        " it",
        " down.",
    ];
    let again = TEXT.iter().enumerate().map(|(at, word)| match at {
        0 => format!(" {word}"),
        _ => (*word).to_owned(),
    });
    let first = TEXT.iter().map(|word| (*word).to_owned());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    first
        .chain(again.collect::<Vec<_>>().into_iter().cycle())
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_prompt_costs_the_same() {
        let prompt = ["Tell me about toll gates.".to_owned()];
        let first = Completion::of(&prompt, None);
        assert_eq!(first.usage, Completion::of(&prompt, None).usage);
        assert_eq!(
            first.usage,
            Usage {
                input: 10,
                output: 22
            }
        );
    }

    #[test]
    fn an_answer_has_as_many_words_as_tokens() {
        let answer = Completion::of(&["Write 200 words.".to_owned()], None);
        assert_eq!(answer.usage.output, 200);
        assert_eq!(answer.text().split(' ').count(), 200);
        assert!(!answer.cut_short);
    }

    #[test]
    fn the_limit_ends_an_answer() {
        let answer = Completion::of(&["Write 200 words.".to_owned()], Some(5));
        assert_eq!(answer.usage.output, 5);
        assert!(answer.cut_short);
    }
}
