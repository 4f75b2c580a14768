//! How many tokens a request and its answer have: a fixed function of the
//! request, so that everybody can work out the bill by hand.

use serde::Serialize;
use serde_json::Value;

use crate::directions::Directions;

/// The answer is no longer than this when the request sets no limit.
const DEFAULT_OUTPUT_LIMIT: u64 = 4096;
/// Tokens of a picture, unless it has fewer characters than that.
const PICTURE: u64 = 64;
/// Characters of encoded sound that are a token.
const SOUND_PER_TOKEN: u64 = 100;

/// Tokens read and written. `input` and `output` count everything; the others are parts of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    #[serde(rename = "input_tokens")]
    pub(crate) input: u64,
    #[serde(rename = "output_tokens")]
    pub(crate) output: u64,
    #[serde(rename = "cached_input_tokens")]
    pub(crate) cached_input: u64,
    #[serde(rename = "cache_write_input_tokens")]
    pub(crate) cache_write_input: u64,
    #[serde(rename = "audio_input_tokens")]
    pub(crate) audio_input: u64,
    #[serde(rename = "image_input_tokens")]
    pub(crate) image_input: u64,
    #[serde(rename = "reasoning_output_tokens")]
    pub(crate) reasoning_output: u64,
    #[serde(rename = "audio_output_tokens")]
    pub(crate) audio_output: u64,
    #[serde(rename = "image_output_tokens")]
    pub(crate) image_output: u64,
}

impl Usage {
    pub(crate) fn of_input(input: u64) -> Self {
        Self {
            input,
            ..Self::default()
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What was neither read from nor written to a cache.
    pub(crate) fn uncached_input(self) -> u64 {
        let cached = self.cached_input.saturating_add(self.cache_write_input);
        self.input.saturating_sub(cached)
    }

    pub(crate) fn add(&mut self, other: Self) {
        let add = |sum: &mut u64, part: u64| *sum = sum.saturating_add(part);
        add(&mut self.input, other.input);
        add(&mut self.output, other.output);
        add(&mut self.cached_input, other.cached_input);
        add(&mut self.cache_write_input, other.cache_write_input);
        add(&mut self.audio_input, other.audio_input);
        add(&mut self.image_input, other.image_input);
        add(&mut self.reasoning_output, other.reasoning_output);
        add(&mut self.audio_output, other.audio_output);
        add(&mut self.image_output, other.image_output);
    }
}

/// What a request tells a model: texts, one for each message, pictures and sounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    texts: Vec<String>,
    /// Tokens of pictures.
    image: u64,
    /// Tokens of sounds.
    audio: u64,
}

impl Prompt {
    pub(crate) fn of_text(text: &str) -> Self {
        let mut prompt = Self::default();
        prompt.text(text);
        prompt
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.texts.push(text.to_owned());
    }

    /// A message's content: a string, or an array of parts with texts, pictures and sounds.
    /// `None` when it is neither.
    pub(crate) fn content(&mut self, content: &Value) -> Option<()> {
        match content {
            Value::String(text) => self.texts.push(text.clone()),
            Value::Array(parts) => {
                let mut whole = String::new();
                for part in parts {
                    let part = part.as_object()?;
                    match part.get("text") {
                        Some(Value::String(text)) => whole.push_str(text),
                        Some(_) => return None,
                        None => part
                            .iter()
                            .for_each(|(name, value)| self.media(name, value)),
                    }
                }
                self.texts.push(whole);
            }
            _ => return None,
        }
        Some(())
    }

    /// A member that is a picture or a sound, as any of the providers writes them.
    fn media(&mut self, name: &str, value: &Value) {
        let length = || u64::try_from(value.to_string().len()).unwrap_or(u64::MAX);
        let kind = || {
            let type_of = |name: &str| value.get(name).and_then(Value::as_str);
            let names = ["mimeType", "mime_type", "media_type"];
            let kind = names.into_iter().find_map(type_of);
            kind.and_then(|kind| kind.split_once('/'))
                .map_or("image", |(kind, _)| kind)
        };
        match name {
            "image_url" | "image" => self.picture(length()),
            "input_audio" => self.sound(length()),
            "inlineData" | "source" | "fileData" => match kind() {
                "audio" => self.sound(length()),
                _ => self.picture(length()),
            },
            _ => {}
        }
    }

    /// A picture of so many bytes or characters.
    pub(crate) fn picture(&mut self, length: u64) {
        self.image = self.image.saturating_add(length.min(PICTURE));
    }

    /// A sound of so many bytes or characters.
    pub(crate) fn sound(&mut self, length: u64) {
        let tokens = length.div_ceil(SOUND_PER_TOKEN);
        self.audio = self.audio.saturating_add(tokens);
    }

    /// What reading it costs: of a text a token for every four bytes begun, and three more for
    /// each message.
    ///
    /// That is never more than the request has bytes: around each text, JSON needs more than
    /// three.
    pub(crate) fn usage(&self) -> Usage {
        let texts = self.texts.iter().map(|text| {
            let tokens = u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX);
            tokens.saturating_add(3)
        });
        let text = texts.fold(0, u64::saturating_add);
        let input = text.saturating_add(self.image).saturating_add(self.audio);
        let directions = self.directions();
        let cached_input = directions.cached.min(input);
        Usage {
            cached_input,
            cache_write_input: directions.stored.min(input.saturating_sub(cached_input)),
            audio_input: self.audio,
            image_input: self.image,
            ..Usage::of_input(input)
        }
    }

    fn directions(&self) -> Directions {
        self.texts
            .last()
            .map(|text| Directions::of(text))
            .unwrap_or_default()
    }

    /// `in 200 words` in the last text asks for that many; otherwise 12 to 31, depending on the
    /// prompt's length.
    fn wanted_words(&self) -> u64 {
        let asked = self.texts.last().and_then(|text| {
            let parts: Vec<&str> = text.split_whitespace().collect();
            parts.windows(2).find_map(|pair| match pair {
                [number, unit] if unit.starts_with("words") => number.parse().ok(),
                _ => None,
            })
        });
        asked.unwrap_or_else(|| 12 + self.usage().input % 20).max(1)
    }
}

/// What a model makes of a prompt.
pub(crate) struct Completion {
    pub(crate) usage: Usage,
    /// One per output token that is not a thought; joined they are the text.
    pub(crate) words: Vec<String>,
    /// The limit ended the answer, not the model.
    pub(crate) cut_short: bool,
}

impl Completion {
    /// Answers `prompt` with at most `limit` tokens, thoughts among them.
    pub(crate) fn of(prompt: &Prompt, limit: Option<u64>) -> Self {
        let thoughts = prompt.directions().thoughts;
        let wanted = prompt.wanted_words().saturating_add(thoughts);
        let output = wanted.min(limit.unwrap_or(DEFAULT_OUTPUT_LIMIT));
        let reasoning_output = thoughts.min(output);
        Self {
            usage: Usage {
                output,
                reasoning_output,
                ..prompt.usage()
            },
            words: words(output.saturating_sub(reasoning_output)),
            cut_short: output < wanted,
        }
    }

    pub(crate) fn text(&self) -> String {
        self.words.concat()
    }
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
        let prompt = Prompt::of_text("Tell me about toll gates.");
        let first = Completion::of(&prompt, None);
        assert_eq!(first.usage, Completion::of(&prompt, None).usage);
        assert_eq!(
            first.usage,
            Usage {
                output: 22,
                ..Usage::of_input(10)
            }
        );
    }

    #[test]
    fn an_answer_has_as_many_words_as_tokens() {
        let answer = Completion::of(&Prompt::of_text("Write 200 words."), None);
        assert_eq!(answer.usage.output, 200);
        assert_eq!(answer.text().split(' ').count(), 200);
        assert!(!answer.cut_short);
    }

    #[test]
    fn the_limit_ends_an_answer() {
        let answer = Completion::of(&Prompt::of_text("Write 200 words."), Some(5));
        assert_eq!(answer.usage.output, 5);
        assert!(answer.cut_short);
    }

    #[test]
    fn thoughts_are_output_and_what_was_cached_is_input() {
        let prompt = Prompt::of_text("Write 5 words. [demo thoughts=7 cached=4 stored=3]");
        let usage = Completion::of(&prompt, None).usage;
        assert_eq!((usage.output, usage.reasoning_output), (12, 7));
        assert_eq!((usage.cached_input, usage.cache_write_input), (4, 3));
        assert_eq!(usage.uncached_input(), usage.input - 7);
    }

    #[test]
    fn pictures_and_sounds_are_counted_apart_from_texts() {
        let mut prompt = Prompt::default();
        let data = "A".repeat(1000);
        let content = serde_json::json!([
            { "type": "text", "text": "What?" },
            { "type": "image_url", "image_url": { "url": data } },
            { "inlineData": { "mimeType": "audio/wav", "data": data } },
        ]);
        assert!(prompt.content(&content).is_some());
        let usage = prompt.usage();
        assert_eq!((usage.image_input, usage.audio_input), (64, 11));
        assert_eq!(usage.input, 5 + 64 + 11);
    }
}
