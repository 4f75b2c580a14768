//! The most that a call can use, known before it goes upstream.

use sekisho_domain::policy::Model;
use sekisho_domain::{
    Denial, DenialCode, DepartmentId, Micros, Policy, Price, Tokens, UnixMillis, Usage,
};

use crate::Demand;

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

/// Bounds a call. A token is at least one byte of the body, so the body's size bounds the
/// input; `asked_output`, or else the most that the model can produce, bounds each choice.
///
/// # Errors
/// [`DenialCode::UnboundedCost`] if more output is asked for than the model is said to
/// produce, or the model has no price yet.
pub fn worst_case(
    policy: &Policy,
    model: &Model,
    body_bytes: u64,
    asked_output: Option<u64>,
    choices: u64,
    generates: bool,
    now: UnixMillis,
) -> Result<WorstCase, Denial> {
    let each = match asked_output {
        _ if !generates => 0,
        None => model.max_output_tokens,
        Some(asked) if asked <= model.max_output_tokens => asked,
        Some(_) => {
            let most = model.max_output_tokens;
            let text = format!("at most {most} output tokens can be asked of this model");
            return Err(Denial::with(DenialCode::UnboundedCost, text));
        }
    };
    let Some(output) = each.checked_mul(choices) else {
        return Err(Denial::with(
            DenialCode::UnboundedCost,
            "too many choices are asked for",
        ));
    };
    let Some(price) = policy.prices.price(&model.price, now) else {
        return Err(Denial::with(
            DenialCode::UnboundedCost,
            "this model has no price yet",
        ));
    };
    let usage = Usage {
        input: Tokens(body_bytes),
        output: Tokens(output),
        ..Usage::default()
    };
    Ok(WorstCase {
        usage,
        cost: price.cost(&usage),
        price: price.clone(),
    })
}

/// What each budget of the department must hold for a call of this size.
#[must_use]
pub fn demands(policy: &Policy, department: &DepartmentId, worst: &WorstCase) -> Vec<Demand> {
    policy
        .budgets_of(department)
        .map(|budget| Demand {
            budget: budget.id.clone(),
            meter: budget.meter,
            amount: budget.meter.amount(&worst.usage, worst.cost),
        })
        .collect()
}
