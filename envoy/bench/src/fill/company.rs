//! A company's calls: who calls what, in which order.

use clap::Args;
use sekisho_domain::{
    AuditRecord, DenialCode, Outcome, RecordId, RecordKind, Tokens, UnixMillis, Usage, UsageSource,
};

/// 2026-09-01T00:00:00Z, and three months of 30 days from there on.
pub(crate) const START: u64 = 1_788_220_800_000;
pub(crate) const DAY: u64 = 24 * 3600 * 1000;
pub(crate) const MONTH: u64 = 30 * DAY;
pub(crate) const MONTHS: u64 = 3;

pub(crate) const DEPARTMENTS: u32 = 40;
pub(crate) const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "claude-sonnet", "gemini-pro"];
pub(crate) const API: &str = "openai";
/// One call of a thousand is of this one.
pub(crate) const RARE_API: &str = "archive";
const RARE_API_EVERY: u64 = 1_000;
/// Of so many calls one is refused.
const REFUSED_EVERY: u64 = 50;
/// Of so many calls one is somebody's who hardly ever calls.
const SELDOM_EVERY: u64 = 20_000;

/// How large it is: the same when a database is filled and when it is asked.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// Records in the database
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub(crate) records: u64,
    /// People who call
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub(crate) people: u32,
}

/// Somebody who calls.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) department: String,
    object_id: String,
}

impl Person {
    fn new(number: u32) -> Self {
        Self {
            id: format!("E{number:05}"),
            department: format!("d{}", number % DEPARTMENTS),
            object_id: format!("{number:08x}-1111-4222-8333-444455556666"),
        }
    }
}

/// Everybody who calls. The first calls most; number `n` calls in proportion to 1 / √n.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company {
    people: u32,
}

impl Company {
    pub(crate) const fn new(people: u32) -> Self {
        Self { people }
    }

    /// About so many calls make so many records: two each, of refused ones one.
    pub(crate) const fn calls(records: u64) -> u64 {
        (records * REFUSED_EVERY).div_ceil(2 * REFUSED_EVERY - 1)
    }

    /// Anybody, whether they call much or little.
    pub(crate) fn anybody(self, random: &mut fastrand::Rng) -> Person {
        Person::new(random.u32(..self.people.max(1)))
    }

    /// Who calls most.
    pub(crate) fn busiest(self) -> Person {
        Person::new(0)
    }

    /// Who hardly ever calls.
    pub(crate) fn seldom(self) -> Person {
        Person::new(self.people)
    }

    fn caller(self, call: u64, random: &mut fastrand::Rng) -> Person {
        if call % SELDOM_EVERY == SELDOM_EVERY / 2 {
            return self.seldom();
        }
        let share = random.f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the people, not negative"
        )]
        let number = (f64::from(self.people) * share * share) as u32;
        Person::new(number.min(self.people.saturating_sub(1)))
    }

    /// The records of a call, in their order.
    pub(crate) fn call(self, call: u64, arrived: UnixMillis) -> Vec<AuditRecord<'static>> {
        let mut random = fastrand::Rng::with_seed(call);
        let person = self.caller(call, &mut random);
        let is_rare = call % RARE_API_EVERY == RARE_API_EVERY / 2;
        let api = if is_rare { RARE_API } else { API };
        let model = *random.choice(&MODELS).unwrap_or(&"gpt-4o");
        let mut tail = [0; 10];
        random.fill(&mut tail);
        let id = RecordId::v7(arrived, tail);
        let mut record = |kind, after: u64| {
            let mut record = AuditRecord::new(kind, id, UnixMillis(arrived.0 + after));
            record.caller.tenant = Some("0b4c8a5e-0000-4000-8000-000000000001".into());
            record.caller.object_id = Some(person.object_id.clone().into());
            record.caller.user = Some(person.id.clone().into());
            record.caller.department = Some(person.department.clone().into());
            record.caller.address = Some("10.20.30.40".into());
            record.call.method = Some("POST".into());
            record.call.path = Some("/openai/deployments/gpt-4o/chat/completions".into());
            record.call.api = Some(api.into());
            record.call.operation = Some("chat_completions".into());
            record.call.model = Some(model.into());
            record.call.upstream = Some("azure-japan-east".into());
            record.call.request_id = Some("5f0b8f6e-3f7d-4a2c-9d53-6a9d2f3b1c77".into());
            record.usage = Some(Usage {
                input: Tokens(random.u64(10..4_000)),
                output: Tokens(random.u64(10..1_000)),
                ..Usage::default()
            });
            record
        };
        if call % REFUSED_EVERY == REFUSED_EVERY / 2 {
            let mut refused = record(RecordKind::Refuse, 2);
            refused.denial = Some(DenialCode::MissingScope);
            refused.status = Some(DenialCode::MissingScope.status());
            return vec![refused];
        }
        let admit = record(RecordKind::Admit, 3);
        let mut end = record(RecordKind::Complete, 1_800);
        end.usage_source = Some(UsageSource::Reported);
        end.status = Some(200);
        end.outcome = Some(Outcome::Answered);
        end.duration_millis = Some(1_800);
        vec![admit, end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_call_unevenly_and_all_that_is_asked_for_is_there() {
        let company = Company::new(200);
        let calls: Vec<_> = (0..50_000)
            .flat_map(|call| company.call(call, UnixMillis(START)))
            .collect();
        let of = |person: &Person| {
            let same =
                |record: &&AuditRecord<'_>| record.caller.user.as_deref() == Some(&person.id);
            calls.iter().filter(same).count()
        };
        let (busiest, seldom) = (of(&company.busiest()), of(&company.seldom()));
        assert!(busiest > 1_000, "{busiest}");
        assert!((1..10).contains(&seldom), "{seldom}");
        let refused = calls.iter().filter(|record| record.denial.is_some());
        assert_eq!(refused.count(), 1_000);
        let rare = |record: &&AuditRecord<'_>| record.call.api.as_deref() == Some(RARE_API);
        assert!((50..=100).contains(&calls.iter().filter(rare).count()));
    }
}
