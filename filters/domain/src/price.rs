//! Prices and what a call costs.

use crate::{Micros, Tokens, Usage};

/// Prices of one model from a date on.
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
    /// Per call, whatever it used.
    pub per_request: Micros,
}

impl Price {
    /// What `usage` costs, rounded up to the micro once per call. Monotone in every
    /// figure, so that a reservation for the worst case always covers it.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Micros {
        let part = |tokens: Tokens, price: Micros| u128::from(tokens.0) * u128::from(price.0);
        let millionths = part(usage.input, self.input_per_million)
            .saturating_add(part(usage.output, self.output_per_million));
        let micros = u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Micros(micros) + self.per_request
    }
}

/// All prices, by model.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    by_model: std::collections::HashMap<String, Vec<Price>>,
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

    /// Whether `model` has any price.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.by_model.contains_key(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMillis;

    fn price(from: u64, input: &str, output: &str) -> Price {
        Price {
            from: String::new(),
            effective: UnixMillis(from),
            input_per_million: Micros::parse(input).unwrap(),
            output_per_million: Micros::parse(output).unwrap(),
            per_request: Micros(0),
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
