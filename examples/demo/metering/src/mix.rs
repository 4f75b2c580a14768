//! Which calls are made: a function of the seed alone.

mod shape;

pub(crate) use shape::{SHAPES, Shape};

use fastrand::Rng;

/// One call of the mix.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// Tells it from all others; stands in its prompt.
    pub(crate) number: u64,
    pub(crate) shape: &'static Shape,
    pub(crate) prompt: String,
    pub(crate) ending: Ending,
}

/// How a call is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer comes whole.
    Answered,
    /// The client goes away once it has had so many bytes of the answer.
    Leaves(usize),
    /// The provider answers with an error.
    Refused,
    /// The first upstream answers with an error, the next one with what was asked for.
    GoesOn,
    /// The provider breaks the connection in the middle of a stream.
    Cut,
    /// The provider tells of an error in the middle of a stream.
    Fails,
}

impl Ending {
    /// Whether somebody breaks off.
    pub(crate) fn breaks_off(self) -> bool {
        matches!(self, Self::Leaves(_) | Self::Cut | Self::Fails)
    }
}

impl Planned {
    /// Where there are several upstreams, an error of one is not the end.
    pub(crate) fn among(mut self, several: bool) -> Self {
        if several && self.ending == Ending::Refused {
            self.ending = Ending::GoesOn;
        }
        self
    }
}

/// `count` calls of the shapes that there are.
pub(crate) fn plan(shapes: &[&'static Shape], count: u64, seed: u64) -> Vec<Planned> {
    let mut random = Rng::with_seed(seed);
    // Numbers of another run must not be taken for this one's.
    let base = random.u64(1..1 << 40) << 20;
    (0..count)
        .filter_map(|at| {
            let shape = *shapes.get(random.usize(..shapes.len().max(1)))?;
            Some(one(base.saturating_add(at), shape, &mut random))
        })
        .collect()
}

fn one(number: u64, shape: &'static Shape, random: &mut Rng) -> Planned {
    let ending = ending(shape, random);
    let mut directions = vec![format!("id={number}")];
    let mut maybe = |chance: f64, name: &str, most: u64, random: &mut Rng| {
        if random.f64() < chance {
            directions.push(format!("{name}={}", random.u64(1..=most)));
        }
    };
    if shape.thinks {
        maybe(0.3, "thoughts", 40, random);
    }
    if shape.caches {
        maybe(0.3, "cached", 30, random);
        maybe(0.2, "stored", 20, random);
    }
    maybe(0.1, "wait", 50, random);
    match ending {
        Ending::Refused => {
            let status = random.choice([429, 500, 503]).unwrap_or(503);
            // At once: a time would keep the calls after this one away from there, too.
            directions.push(format!("status={status} retry_after=0"));
        }
        Ending::Cut => directions.push(format!("cut={}", random.u64(1..6))),
        Ending::Fails => directions.push(format!("fail={}", random.u64(1..6))),
        Ending::Answered | Ending::GoesOn | Ending::Leaves(_) => {}
    }
    let padding = "Why did travellers need a permit? ".repeat(random.usize(1..12));
    let words = random.u64(1..120);
    Planned {
        number,
        shape,
        prompt: format!(
            "{padding}Answer in {words} words. [demo {}]",
            directions.join(" ")
        ),
        ending,
    }
}

/// Of a hundred calls five are left by the client and five refused by the provider; of a hundred
/// streams three more are cut and three fail inside.
fn ending(shape: &Shape, random: &mut Rng) -> Ending {
    match random.u32(..100) {
        0..5 => Ending::Leaves(random.usize(..4000)),
        5..10 => Ending::Refused,
        10..13 if shape.streams => Ending::Cut,
        13..16 if shape.streams => Ending::Fails,
        _ => Ending::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_calls() {
        let shapes: Vec<&Shape> = SHAPES.iter().collect();
        let prompts = |seed| {
            let calls = plan(&shapes, 50, seed);
            calls.into_iter().map(|it| it.prompt).collect::<Vec<_>>()
        };
        assert_eq!(prompts(7), prompts(7));
        assert_ne!(prompts(7), prompts(8));
    }

    #[test]
    fn a_mix_has_every_shape_and_every_ending() {
        let shapes: Vec<&Shape> = SHAPES.iter().collect();
        let calls = plan(&shapes, 5000, 1);
        for shape in SHAPES {
            assert!(
                calls.iter().any(|it| it.shape.name == shape.name),
                "{}",
                shape.name
            );
        }
        let has = |wanted: fn(Ending) -> bool| calls.iter().any(|it| wanted(it.ending));
        assert!(has(|it| it == Ending::Refused) && has(|it| it == Ending::Cut));
        assert!(has(|it| it == Ending::Fails) && has(|it| matches!(it, Ending::Leaves(_))));
    }
}
