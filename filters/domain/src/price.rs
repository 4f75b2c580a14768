//! Prices and what a call costs.

use crate::{Micros, Tokens, Usage, UsageSource};

/// Prices of one model from a date on. Tokens of a kind that has no price of its own cost
/// what plain ones do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// First day of validity, `YYYY-MM-DD` in the company's time zone; names the price version.
    pub from: String,
    /// First moment of validity.
    pub effective: crate::UnixMillis,
    /// Per million input tokens.
    pub input_per_million: Micros,
    /// Per million output tokens.
    pub output_per_million: Micros,
    /// Per million input tokens that came from the provider's prompt cache.
    pub cached_input_per_million: Option<Micros>,
    /// Per million input tokens that went to it.
    pub cache_write_per_million: Option<Micros>,
    /// Per million input tokens of sound.
    pub audio_input_per_million: Option<Micros>,
    /// Per million input tokens of pictures.
    pub image_input_per_million: Option<Micros>,
    /// Per million output tokens of sound.
    pub audio_output_per_million: Option<Micros>,
    /// Per million output tokens of pictures.
    pub image_output_per_million: Option<Micros>,
    /// Per call, whatever it used.
    pub per_request: Micros,
}

impl Price {
    /// Of what costs nothing.
    pub const FREE: Self = Self {
        from: String::new(),
        effective: crate::UnixMillis(0),
        input_per_million: Micros(0),
        output_per_million: Micros(0),
        cached_input_per_million: None,
        cache_write_per_million: None,
        audio_input_per_million: None,
        image_input_per_million: None,
        audio_output_per_million: None,
        image_output_per_million: None,
        per_request: Micros(0),
    };

    /// Whether tokens of any kind cost anything.
    #[must_use]
    pub fn is_per_token(&self) -> bool {
        let one = Usage {
            input: Tokens(1),
            output: Tokens(1),
            ..Usage::default()
        };
        self.most(&one) > self.per_request
    }

    /// What is charged for `usage`, rounded up to the micro once per call: its cost if the
    /// provider reported it, else the most that it can have cost.
    #[must_use]
    pub fn charge(&self, usage: &Usage, source: UsageSource) -> Micros {
        match source {
            UsageSource::Reported => self.cost(usage),
            UsageSource::Estimated => self.most(usage),
        }
    }

    /// What `usage` costs. A token is of one kind: what is priced as written to the cache is
    /// not priced again as read from it, nor that as sound, nor that as pictures.
    fn cost(&self, usage: &Usage) -> Micros {
        let input = Split::of(usage.input)
            .part(usage.cache_write_input, self.cache_write_per_million)
            .part(usage.cached_input, self.cached_input_per_million)
            .part(usage.audio_input, self.audio_input_per_million)
            .part(usage.image_input, self.image_input_per_million)
            .rest(self.input_per_million);
        let output = Split::of(usage.output)
            .part(usage.audio_output, self.audio_output_per_million)
            .part(usage.image_output, self.image_output_per_million)
            .rest(self.output_per_million);
        self.sum(input, output)
    }

    /// The most that so many tokens can cost, each taken for one of the dearest kind. Never
    /// less than the cost of as many or fewer tokens, whatever they turn out to be.
    #[must_use]
    pub fn most(&self, usage: &Usage) -> Micros {
        let dearest = |plain: Micros, kinds: &[Option<Micros>]| {
            kinds.iter().flatten().copied().fold(plain, Micros::max)
        };
        let input = dearest(
            self.input_per_million,
            &[
                self.cache_write_per_million,
                self.cached_input_per_million,
                self.audio_input_per_million,
                self.image_input_per_million,
            ],
        );
        let output = dearest(
            self.output_per_million,
            &[self.audio_output_per_million, self.image_output_per_million],
        );
        self.sum(
            Split::of(usage.input).rest(input),
            Split::of(usage.output).rest(output),
        )
    }

    fn sum(&self, input: u128, output: u128) -> Micros {
        let millionths = input.saturating_add(output);
        let micros = u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Micros(micros) + self.per_request
    }
}

/// Tokens that are priced kind by kind, in millionths of a micro.
struct Split {
    left: u64,
    price: u128,
}

impl Split {
    const fn of(all: Tokens) -> Self {
        Self {
            left: all.0,
            price: 0,
        }
    }

    /// Prices those of a kind, if it has a price of its own.
    fn part(mut self, tokens: Tokens, price: Option<Micros>) -> Self {
        if let Some(price) = price {
            let tokens = tokens.0.min(self.left);
            self.left -= tokens;
            self.add(tokens, price);
        }
        self
    }

    /// Prices what is left.
    fn rest(mut self, price: Micros) -> u128 {
        self.add(self.left, price);
        self.price
    }

    fn add(&mut self, tokens: u64, price: Micros) {
        let price = u128::from(tokens) * u128::from(price.0);
        self.price = self.price.saturating_add(price);
    }
}

/// All prices, by model.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    /// Looked up on every call, by names that only the policy brings in.
    by_model: std::collections::HashMap<String, Vec<Price>, foldhash::fast::RandomState>,
}

impl PriceBook {
    /// A book of `(model, price)` entries.
    #[must_use]
    pub fn new(entries: Vec<(String, Price)>) -> Self {
        let mut book = Self::default();
        for (model, price) in entries {
            book.by_model.entry(model).or_default().push(price);
        }
        for prices in book.by_model.values_mut() {
            prices.sort_by_key(|price| price.effective);
        }
        book
    }

    /// The price of `model` that is valid at `now`: the latest that has begun.
    #[must_use]
    pub fn price(&self, model: &str, now: crate::UnixMillis) -> Option<&Price> {
        self.by_model
            .get(model)?
            .iter()
            .rev()
            .find(|price| price.effective <= now)
    }

    /// The prices of `model` that are valid at some moment from `start` on and before `end`,
    /// oldest first.
    pub fn between(
        &self,
        model: &str,
        start: crate::UnixMillis,
        end: crate::UnixMillis,
    ) -> impl Iterator<Item = &Price> {
        let prices = self.by_model.get(model).map_or(&[][..], Vec::as_slice);
        let at_start = prices.iter().rfind(|price| price.effective <= start);
        let later = prices
            .iter()
            .filter(move |price| price.effective > start && price.effective < end);
        at_start.into_iter().chain(later)
    }

    /// Every price that `model` has had, has, or will have.
    pub fn versions(&self, model: &str) -> impl Iterator<Item = &Price> {
        self.by_model.get(model).into_iter().flatten()
    }

    /// Whether `model` has any price.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.by_model.contains_key(model)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UnixMillis;

    fn price(from: u64, input: &str, output: &str) -> Price {
        Price {
            from: String::new(),
            effective: UnixMillis(from),
            input_per_million: Micros::parse(input).unwrap(),
            output_per_million: Micros::parse(output).unwrap(),
            ..Price::default()
        }
    }

    #[test]
    fn a_call_costs_its_tokens_rounded_up_once() {
        let usage = Usage {
            input: Tokens(1000),
            output: Tokens(1),
            ..Usage::default()
        };
        // 1000 x 375 + 1 x 1500 yen per million = 0.3765 yen
        assert_eq!(price(0, "375", "1500").cost(&usage), Micros(376_500));
        assert_eq!(price(0, "0.000001", "0").cost(&usage), Micros(1));
    }

    #[test]
    fn a_kind_with_a_price_of_its_own_is_priced_by_it_and_others_are_plain() {
        let kinds = Price {
            cached_input_per_million: Some(Micros(1)),
            audio_input_per_million: Some(Micros(40_000_000)),
            image_output_per_million: Some(Micros(0)),
            ..price(0, "10", "20")
        };
        let usage = Usage {
            input: Tokens(1_000_000),
            cached_input: Tokens(300_000),
            cache_write_input: Tokens(100_000),
            audio_input: Tokens(200_000),
            output: Tokens(500_000),
            reasoning_output: Tokens(400_000),
            image_output: Tokens(100_000),
            ..Usage::default()
        };
        // 0.3 x 0.000001 + 0.2 x 40 + 0.5 x 10 + 0.4 x 20
        assert_eq!(kinds.cost(&usage), Micros(21_000_001));
        let sound = Micros(40_000_000 + 10_000_000);
        assert_eq!(kinds.charge(&usage, UsageSource::Estimated), sound);
    }

    #[test]
    fn parts_that_overlap_are_priced_once() {
        let kinds = Price {
            cached_input_per_million: Some(Micros(1_000_000)),
            audio_input_per_million: Some(Micros(3_000_000)),
            ..price(0, "2", "0")
        };
        let usage = Usage {
            input: Tokens(1_000_000),
            cached_input: Tokens(800_000),
            audio_input: Tokens(900_000),
            ..Usage::default()
        };
        assert_eq!(kinds.cost(&usage), Micros(1_400_000));
    }

    #[test]
    fn the_prices_of_a_stretch_are_the_one_at_its_start_and_those_that_begin_in_it() {
        let entries = [10, 20, 30].map(|from| ("m".to_owned(), price(from, "1", "1")));
        let book = PriceBook::new(entries.into());
        let between = |start, end| {
            let prices = book.between("m", UnixMillis(start), UnixMillis(end));
            prices.map(|price| price.effective.0).collect::<Vec<_>>()
        };
        assert_eq!(between(15, 30), [10, 20]);
        assert_eq!(between(20, 31), [20, 30]);
        assert!(between(0, 10).is_empty());
        assert_eq!(between(0, 11), [10]);
        assert_eq!(between(40, 50), [30]);
        assert_eq!(book.between("n", UnixMillis(0), UnixMillis(99)).count(), 0);
    }

    proptest! {
        #[test]
        fn a_reservation_covers_whatever_a_call_turns_out_to_have_used(
            tokens in prop::array::uniform9(0u64..1 << 40),
            fewer in prop::array::uniform2(0u64..1 << 40),
            prices in prop::array::uniform8(prop::option::of(0u64..1 << 40)),
        ) {
            let [input, output, cached, written, audio, image, reasoning, spoken, drawn] = tokens.map(Tokens);
            let price = |at: usize| prices[at].map(Micros);
            let price = Price {
                input_per_million: price(0).unwrap_or_default(),
                output_per_million: price(1).unwrap_or_default(),
                cached_input_per_million: price(2),
                cache_write_per_million: price(3),
                audio_input_per_million: price(4),
                image_input_per_million: price(5),
                audio_output_per_million: price(6),
                image_output_per_million: price(7),
                ..Price::default()
            };
            let worst = Usage { input, output, ..Usage::default() };
            let used = Usage {
                input: Tokens(fewer[0]).min(input),
                output: Tokens(fewer[1]).min(output),
                cached_input: cached,
                cache_write_input: written,
                audio_input: audio,
                image_input: image,
                reasoning_output: reasoning,
                audio_output: spoken,
                image_output: drawn,
                ..Usage::default()
            };
            prop_assert!(price.cost(&used) <= price.most(&worst));
            prop_assert!(price.most(&used) <= price.most(&worst));
        }
    }

    #[test]
    fn the_latest_price_that_has_begun_is_valid() {
        let book = PriceBook::new(vec![
            ("m".into(), price(2000, "2", "2")),
            ("m".into(), price(1000, "1", "1")),
        ]);
        assert_eq!(book.price("m", UnixMillis(999)), None);
        assert_eq!(
            book.price("m", UnixMillis(1999)),
            Some(&price(1000, "1", "1"))
        );
        assert_eq!(
            book.price("m", UnixMillis(2000)),
            Some(&price(2000, "2", "2"))
        );
    }
}
