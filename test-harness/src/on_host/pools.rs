//! Which upstreams the proxy would ask, and what it would pass on. Of several that may come
//! first the host takes the one that is named first; Envoy picks by weight.

use std::time::Duration;

use sekisho_domain::Policy;
use sekisho_domain::policy::Upstream;
use sekisho_upstream::{ATTEMPTS_HEADER, Selection, UPSTREAM_HEADER};

use crate::gateway::{Answer, AnswerEnd};

/// The upstreams behind a cluster, in the order in which they are asked; none: there is no such
/// cluster.
pub(super) fn order<'p>(policy: &'p Policy, cluster: &str) -> Vec<&'p Upstream> {
    if let Some(upstream) = policy.upstreams.get(cluster) {
        return vec![upstream];
    }
    let pools = Selection::pools(policy);
    let members = pools.get(cluster).map(|pool| pool.members.iter());
    let members = members.into_iter().flatten();
    members
        .filter_map(|member| policy.upstreams.get(&member.upstream))
        .collect()
}

/// Who is asked, and the answer as the routes of `sekisho render` pass it on.
pub(super) fn ask(order: &[&Upstream], answer: &Answer) -> (Vec<String>, Option<Answer>) {
    let mut asked = Vec::new();
    for upstream in order {
        asked.push(upstream.name.clone());
        let mut passed = got(upstream, answer.of(&upstream.name));
        if matches!(passed.status, 429 | 500..) && asked.len() < order.len() {
            continue;
        }
        let of_pools = |name: &str| [ATTEMPTS_HEADER, UPSTREAM_HEADER].contains(&name);
        passed.headers.retain(|(name, _)| !of_pools(name));
        if order.len() > 1 {
            for (header, value) in [
                (ATTEMPTS_HEADER, asked.len().to_string()),
                (UPSTREAM_HEADER, upstream.name.clone()),
            ] {
                passed.headers.push((header.to_owned(), value.into_bytes()));
            }
        }
        return (asked, Some(passed));
    }
    (asked, None)
}

/// What comes of an upstream's answer before anybody else is asked.
fn got(upstream: &Upstream, answer: &Answer) -> Answer {
    let patience = Duration::from_millis(upstream.limits.first_byte_timeout_millis);
    let in_its_place = |status, after| Answer {
        status,
        after,
        ..Answer::default()
    };
    if answer.after > patience {
        return in_its_place(504, patience);
    }
    match answer.end {
        AnswerEnd::Unanswered => in_its_place(503, answer.after),
        _ => answer.clone(),
    }
}
