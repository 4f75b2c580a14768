//! The most that a call can use, known before it goes upstream.

use sekisho_domain::policy::{Api, Model};
use sekisho_domain::{
    ByteCount, Denial, DenialCode, Micros, Policy, Price, Tokens, UnixMillis, Usage,
};

/// What a call can use and cost at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Tokens.
    pub usage: Usage,
    /// Money.
    pub cost: Micros,
    /// The price that bounds it.
    pub price: Price,
}

/// What a request asks for, as far as it bounds what a call can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Size of the body: a token is at least one byte of it.
    pub body_bytes: u64,
    /// Output limit, tokens.
    pub output: Option<u64>,
    /// Number of answers.
    pub choices: u64,
    /// Whether the operation is counted in tokens at all.
    pub counts_tokens: bool,
    /// Whether it generates output.
    pub generates: bool,
}

/// Bounds a call: the body's size bounds its input; the output limit that it asks for, or
/// else the most that the model can produce, bounds each of its answers.
///
/// # Errors
/// [`DenialCode::UnboundedCost`] if more output is asked for than the model is said to
/// produce, or the model has no price yet.
pub fn worst_case(
    policy: &Policy,
    model: &Model,
    asked: &Asked,
    now: UnixMillis,
) -> Result<WorstCase, Denial> {
    let Some(price) = policy.prices.price(&model.price, now) else {
        return Err(Denial::with(
            DenialCode::UnboundedCost,
            "this model has no price yet",
        ));
    };
    let usage = Usage {
        input: Tokens(if asked.counts_tokens {
            asked.body_bytes
        } else {
            0
        }),
        output: Tokens(most_output(model, asked)?),
        bytes: ByteCount(asked.body_bytes),
        ..Usage::default()
    };
    Ok(WorstCase {
        usage,
        cost: price.most(&usage),
        price: price.clone(),
    })
}

/// Bounds a call that concerns no model: it uses no tokens that anybody could tell.
///
/// # Errors
/// [`DenialCode::UnboundedCost`] if what it costs has no price yet.
pub fn worst_case_without_model(
    policy: &Policy,
    api: &Api,
    asked: &Asked,
    now: UnixMillis,
) -> Result<WorstCase, Denial> {
    let Some(price) = policy.price(api, "", now) else {
        let text = "this operation has no price yet";
        return Err(Denial::with(DenialCode::UnboundedCost, text));
    };
    let usage = Usage {
        bytes: ByteCount(asked.body_bytes),
        ..Usage::default()
    };
    Ok(WorstCase {
        usage,
        cost: price.most(&usage),
        price: price.clone(),
    })
}

fn most_output(model: &Model, asked: &Asked) -> Result<u64, Denial> {
    let most = model.max_output_tokens;
    let each = match asked.output {
        _ if !asked.generates => return Ok(0),
        None => most,
        Some(output) if output <= most => output,
        Some(_) => {
            let text = format!("at most {most} output tokens can be asked of this model");
            return Err(Denial::with(DenialCode::UnboundedCost, text));
        }
    };
    each.checked_mul(asked.choices)
        .ok_or_else(|| Denial::with(DenialCode::UnboundedCost, "too many answers are asked for"))
}
