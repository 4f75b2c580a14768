//! From the file's members to a sound [`Policy`]; every problem is noted on the way.

mod apis;
mod budgets;
mod callers;
mod issuers;
mod keeping;
mod upstreams;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::raw::{Amount, RawApi, RawAudit, RawModel, RawPolicy, RawPrice};
use super::repair::Defined;
use super::{Api, Model, Policy, Problem, Upstream};
use crate::price::{Price, PriceBook};
use crate::scope::ScopeId;
use crate::{ApiId, Micros, ScopeTree};

/// Most bytes that a name may have.
const MAX_NAME: usize = 64;

/// What every check needs: the names in force and the list of problems.
struct Check<'p> {
    problems: &'p mut Vec<Problem>,
    defined: Defined,
    scopes: ScopeTree,
}

pub(super) fn check(raw: RawPolicy, defined: Defined, problems: &mut Vec<Problem>) -> Policy {
    let pairs: Vec<_> = raw.scopes.clone().into_iter().collect();
    let scopes = ScopeTree::new(&pairs).unwrap_or_else(|errors| {
        for error in errors {
            problems.push(Problem {
                path: "scopes".into(),
                message: error.to_string(),
            });
        }
        ScopeTree::default()
    });
    let mut check = Check {
        problems,
        defined,
        scopes,
    };
    check.head(&raw);
    let issuers = check.issuers(raw.issuers);
    let failover = check.failover(&raw.failover);
    let upstreams = check.upstreams(raw.upstreams);
    let priced: HashSet<String> = raw.prices.iter().map(|p| p.model.clone()).collect();
    let prices = check.prices(&raw.prices);
    let apis = check.apis(raw.apis, &raw.audit, &priced, &upstreams);
    let (departments, department_groups) = check.departments(raw.departments);
    let titles = check.titles(raw.titles);
    let mfa = check.scope_mfa(raw.mfa);
    let trusted_hops = raw.client_address.trusted_hops;
    if trusted_hops > 8 {
        let text = format!("must be from 0 to 8, not {trusted_hops}");
        check.problem("client_address.trusted_hops", text);
    }
    let budgets = check.budgets(&raw.budgets);
    check.some(
        "limits.request_body_bytes",
        raw.limits.request_body_bytes,
        64 * 1024 * 1024,
    );
    check.some(
        "limits.ack_timeout_millis",
        raw.limits.ack_timeout_millis,
        60_000,
    );
    let keeping = check.keeping(&raw.audit);
    let scopes = check.scopes;
    Policy {
        organisation: raw.organisation,
        time_zone: raw.time_zone,
        currency: raw.currency,
        directory: raw.directory,
        issuers,
        scopes,
        upstreams,
        apis,
        departments,
        department_groups,
        titles,
        mfa,
        trusted_hops,
        budgets,
        prices,
        failover,
        keeping,
        request_body_bytes: raw.limits.request_body_bytes,
        ack_timeout_millis: raw.limits.ack_timeout_millis,
    }
}

impl Check<'_> {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            path: path.into(),
            message: message.into(),
        });
    }

    fn some(&mut self, path: &str, value: u64, most: u64) {
        if value == 0 || value > most {
            self.problem(path, format!("must be from 1 to {most}, not {value}"));
        }
    }

    fn head(&mut self, raw: &RawPolicy) {
        if raw.version != 1 {
            self.problem(
                "version",
                format!("this release reads version 1, not {}", raw.version),
            );
        }
        if raw.currency.len() != 3 || !raw.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            self.problem("currency", "must be an ISO 4217 code such as `JPY`");
        }
        let zone = raw.time_zone.as_str();
        if zone != "UTC" && !zone.contains('/') {
            self.problem("time_zone", "must be an IANA name such as `Asia/Tokyo`");
        }
        for scope in raw.scopes.keys() {
            self.name(&format!("scopes.{scope}"), scope);
        }
    }

    /// Names become cluster names, metric names and URL segments.
    fn name(&mut self, path: &str, name: &str) {
        if !is_name(name) {
            self.problem(path, NAME);
        }
    }

    fn unique(&mut self, seen: &mut HashSet<String>, path: &str, name: &str) {
        if !seen.insert(name.to_owned()) {
            self.problem(path, format!("`{name}` is defined twice"));
        }
    }

    /// The scope of this name. An unknown one is a problem and yields one that nobody holds by name.
    fn scope(&mut self, path: &str, name: &str) -> Option<ScopeId> {
        let id = self.scopes.id(name);
        if id.is_none() && !self.defined.scopes.contains(name) {
            self.problem(path, format!("`{name}` is not under `scopes`"));
        }
        id
    }

    fn apis(
        &mut self,
        raw: Vec<RawApi>,
        audit: &RawAudit,
        priced: &HashSet<String>,
        upstreams: &HashMap<String, Upstream>,
    ) -> Vec<Api> {
        let mut seen = HashSet::new();
        let mut apis = Vec::new();
        for (at, api) in raw.into_iter().enumerate() {
            let path = format!("apis[{at}]");
            self.name(&format!("{path}.name"), &api.name);
            self.unique(&mut seen, &format!("{path}.name"), &api.name);
            let place = self.cloud_place(&path, &api);
            let paths = self.paths(&path, &api);
            if let Some(price) = api.price.as_ref().filter(|price| !priced.contains(*price)) {
                let text = format!("`{price}` is not under `prices`");
                self.problem(format!("{path}.price"), text);
            }
            let aliases = self.aliases(&path, &api.models);
            let rules = api
                .rules
                .map(|rules| self.rules(&format!("{path}.rules"), rules));
            let scope = self.scope(&format!("{path}.scope"), &api.scope);
            let applications = self.applications(&format!("{path}.applications"), api.applications);
            let mfa = api.mfa.map(|mfa| {
                let at = format!("{path}.mfa.authentication_context");
                self.mfa(&at, mfa.authentication_context)
            });
            let networks = self.networks(&format!("{path}.networks"), api.networks);
            if let Some(upstream) = &api.upstream {
                self.known_upstream(&format!("{path}.upstream"), upstream);
            }
            let mut models = HashMap::new();
            for (m, model) in api.models.into_iter().enumerate() {
                let path = format!("{path}.models[{m}]");
                if models.contains_key(&model.name) {
                    self.problem(
                        format!("{path}.name"),
                        format!("`{}` is defined twice", model.name),
                    );
                }
                if let Some(model) = self.model(&path, model, scope, priced, upstreams) {
                    models.insert(model.name.clone(), model);
                }
            }
            if let Some(scope) = scope {
                apis.push(Api {
                    id: ApiId(api.name),
                    provider: api.provider,
                    operations: api.operations,
                    scope,
                    audit: api.audit.unwrap_or(audit.mode),
                    contents: api.contents.unwrap_or(audit.contents),
                    applications,
                    mfa,
                    networks,
                    upstream: api.upstream,
                    show_upstream: api.show_upstream,
                    price: api.price,
                    rules: rules.map(Arc::new),
                    place,
                    paths,
                    models,
                    aliases,
                });
            }
        }
        apis
    }

    fn model(
        &mut self,
        path: &str,
        raw: RawModel,
        api_scope: Option<ScopeId>,
        priced: &HashSet<String>,
        upstreams: &HashMap<String, Upstream>,
    ) -> Option<Model> {
        if raw.name.is_empty() || raw.name.len() > 256 {
            self.problem(format!("{path}.name"), "must be 1 to 256 bytes");
        }
        let scope = match &raw.scope {
            Some(name) => self.scope(&format!("{path}.scope"), name),
            None => api_scope,
        };
        let upstreams = self.model_upstreams(path, &raw, upstreams);
        self.some(
            &format!("{path}.max_output_tokens"),
            raw.max_output_tokens,
            10_000_000,
        );
        if let Some(most) = raw.max_input_tokens {
            self.some(&format!("{path}.max_input_tokens"), most, 10_000_000);
        }
        let price = raw.price.clone().unwrap_or_else(|| raw.name.clone());
        if !priced.contains(&price) {
            let text = format!("`{price}` is not under `prices`; a free model has a price of 0");
            self.problem(format!("{path}.price"), text);
        }
        Some(Model {
            name: raw.name,
            scope: scope?,
            upstreams,
            max_output_tokens: raw.max_output_tokens,
            max_input_tokens: raw.max_input_tokens,
            hidden_output_tokens: raw.hidden_output_tokens,
            price,
        })
    }

    fn prices(&mut self, raw: &[RawPrice]) -> PriceBook {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for (at, price) in raw.iter().enumerate() {
            let path = format!("prices[{at}]");
            self.unique(
                &mut seen,
                &path,
                &format!("{} from {}", price.model, price.from),
            );
            let Some(effective) = day_start(&price.from) else {
                self.problem(format!("{path}.from"), "must be a day as `YYYY-MM-DD`");
                continue;
            };
            let effective = price.from_unix_millis.map_or(effective, crate::UnixMillis);
            let of = |member: &str| format!("{path}.{member}");
            let mut kind = |member: &str, amount: &Option<Amount>| {
                let amount = amount.as_ref()?;
                Some(self.amount(&of(member), amount))
            };
            let cached = kind("cached_input_per_million", &price.cached_input_per_million);
            let written = kind("cache_write_per_million", &price.cache_write_per_million);
            let heard = kind("audio_input_per_million", &price.audio_input_per_million);
            let seen = kind("image_input_per_million", &price.image_input_per_million);
            let spoken = kind("audio_output_per_million", &price.audio_output_per_million);
            let drawn = kind("image_output_per_million", &price.image_output_per_million);
            let per_request = kind("per_request", &price.per_request);
            let plain = Price {
                from: price.from.clone(),
                effective,
                input_per_million: self.amount(&of("input_per_million"), &price.input_per_million),
                output_per_million: self
                    .amount(&of("output_per_million"), &price.output_per_million),
                cached_input_per_million: cached,
                cache_write_per_million: written,
                audio_input_per_million: heard,
                image_input_per_million: seen,
                audio_output_per_million: spoken,
                image_output_per_million: drawn,
                per_request: per_request.unwrap_or_default(),
            };
            entries.push((price.model.clone(), plain));
        }
        PriceBook::new(entries)
    }

    fn amount(&mut self, path: &str, amount: &Amount) -> Micros {
        let parsed = match amount {
            Amount::Whole(whole) => Micros::parse(&whole.to_string()),
            Amount::Decimal(text) => Micros::parse(text),
        };
        parsed.unwrap_or_else(|error| {
            self.problem(path, error.to_string());
            Micros(0)
        })
    }
}

/// What a name must be.
const NAME: &str = "must be 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`";

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

fn is_url(text: &str) -> bool {
    text.strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
        })
}

fn is_origin(text: &str) -> bool {
    is_url(text)
        && text
            .split("://")
            .nth(1)
            .is_some_and(|rest| !rest.contains(['/', '?', '#', '@']))
}

/// Start of the day in UTC.
fn day_start(day: &str) -> Option<crate::UnixMillis> {
    let mut parts = day.split('-');
    let (year, month, date) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), date.len()) != (4, 2, 2) {
        return None;
    }
    let digits = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<i64>())
    };
    let (year, month, date) = (
        digits(year)?.ok()?,
        digits(month)?.ok()?,
        digits(date)?.ok()?,
    );
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year < 1970 || !(1..=last).contains(&date) {
        return None;
    }
    // Days from civil (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let y = if month <= 2 { year - 1 } else { year };
    let era = y / 400;
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    u64::try_from(days)
        .ok()
        .map(|days| crate::UnixMillis(days * 86_400_000))
}

#[cfg(test)]
mod tests;
