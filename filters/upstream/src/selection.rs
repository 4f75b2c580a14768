//! What is found out once, when a policy comes into force: for every model and every set of
//! regions that a department may be bound to, where the calls go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sekisho_domain::policy::{Api, Model, ModelUpstream, Upstream};
use sekisho_domain::{Denial, DenialCode, DepartmentId, Policy};

use crate::affinity;
use crate::pool::Pool;

/// Whether later calls refer to what an operation of this name leaves at its upstream.
#[must_use]
pub fn keeps_state(operation: &str) -> bool {
    // Pools go on while no answer has begun; a session begins with its first byte.
    matches!(operation, "responses" | "realtime")
}

/// Who calls what.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Place in the policy's list of APIs.
    pub api: usize,
    /// The operation's name in the catalogue.
    pub operation: &'a str,
    /// The model's name as clients use it; none: the operation concerns no model.
    pub model: Option<&'a str>,
    /// Who pays.
    pub department: &'a str,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination<'s> {
    /// The cluster: an upstream's name or a pool's.
    pub cluster: &'s str,
    /// Whether it is a pool: only the answer tells which upstream took the call.
    pub is_pool: bool,
    /// What the filter has to call the model, where that differs from what the client wrote.
    pub rename: Option<&'s str>,
}

/// Where every call goes.
#[derive(Debug, Default)]
pub struct Selection {
    /// The sets of regions that departments are bound to; the first is none.
    bounds: HashMap<DepartmentId, usize>,
    apis: Vec<Routes>,
}

/// Where the calls of one API go.
#[derive(Debug, Default)]
struct Routes {
    /// Operations without a model, by set of regions.
    own: Vec<Option<String>>,
    models: HashMap<String, Vec<ModelRoute>>,
}

/// Where the calls of one model go, under one set of regions.
#[derive(Debug)]
struct ModelRoute {
    /// None: nowhere.
    usual: Option<Way>,
    /// The places of operations that keep state, with their weights.
    homes: Vec<(u32, Way)>,
}

#[derive(Debug)]
struct Way {
    cluster: String,
    is_pool: bool,
    rename: Option<String>,
}

impl Selection {
    /// Finds out where the calls of a policy go.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let (bounds, sets) = bounds(policy);
        let apis = policy.apis.iter();
        Self {
            bounds,
            apis: apis.map(|api| Routes::new(policy, api, &sets)).collect(),
        }
    }

    /// Every pool that a call of the policy can go to, by name.
    #[must_use]
    pub fn pools(policy: &Policy) -> BTreeMap<String, Pool> {
        let (_, sets) = bounds(policy);
        let models = policy.apis.iter().flat_map(|api| api.models.values());
        models
            .flat_map(|model| sets.iter().map(move |set| (model, *set)))
            .filter_map(|(model, set)| {
                let places = allowed(policy, model, set);
                (places.len() > 1).then(|| Pool::new(&places, &model.name).0)
            })
            .map(|pool| (pool.name(), pool))
            .collect()
    }

    /// Where a call goes.
    ///
    /// # Errors
    /// [`DenialCode::RegionNotAllowed`]: the department is bound to regions, and no upstream of
    /// the call is in one. [`DenialCode::NoUpstream`]: the policy names none.
    pub fn select(&self, asked: &Asked<'_>) -> Result<Destination<'_>, Denial> {
        let bound = match self.bounds.is_empty() {
            true => 0,
            false => self.bounds.get(asked.department).copied().unwrap_or(0),
        };
        let routes = self.apis.get(asked.api).ok_or(DenialCode::NoUpstream)?;
        let nowhere = || match bound {
            0 => Denial::from(DenialCode::NoUpstream),
            _ => DenialCode::RegionNotAllowed.into(),
        };
        let Some(model) = asked.model else {
            let own = routes.own.get(bound).ok_or(DenialCode::NoUpstream)?;
            let cluster = own.as_deref().ok_or_else(nowhere)?;
            return Ok(Destination {
                cluster,
                is_pool: false,
                rename: None,
            });
        };
        let route = routes
            .models
            .get(model)
            .and_then(|routes| routes.get(bound))
            .ok_or(DenialCode::NoUpstream)?;
        let way = match keeps_state(asked.operation) {
            false => route.usual.as_ref(),
            true => route.home(asked.department),
        };
        way.map(Way::destination).ok_or_else(nowhere)
    }
}

impl Routes {
    fn new(policy: &Policy, api: &Api, sets: &[Option<&BTreeSet<String>>]) -> Self {
        let own = api.upstream.as_ref();
        let own = own.and_then(|name| policy.upstreams.get(name));
        let models = api.models.values().map(|model| {
            let routes = sets.iter().map(|set| {
                let places = allowed(policy, model, *set);
                ModelRoute::new(&places, model, api)
            });
            (model.name.clone(), routes.collect())
        });
        Self {
            own: sets
                .iter()
                .map(|set| Some(own.filter(|own| is_allowed(own, *set))?.name.clone()))
                .collect(),
            models: models.collect(),
        }
    }
}

impl ModelRoute {
    fn new(places: &[&ModelUpstream], model: &Model, api: &Api) -> Self {
        let own = api.upstream.as_deref();
        let own = places.iter().find(|place| Some(&*place.upstream) == own);
        let top = places.first().map(|place| place.priority);
        let homes = places.iter().filter(|place| match own {
            Some(own) => place == &own,
            None => Some(place.priority) == top,
        });
        let usual = match places {
            [] => None,
            [place] => Some(Way::to(place)),
            _ => {
                let (pool, rename) = Pool::new(places, &model.name);
                Some(Way {
                    cluster: pool.name(),
                    is_pool: true,
                    rename: rename.map(str::to_owned),
                })
            }
        };
        Self {
            usual,
            homes: homes.map(|place| (place.weight, Way::to(place))).collect(),
        }
    }

    fn home(&self, department: &str) -> Option<&Way> {
        if let [(_, only)] = self.homes.as_slice() {
            return Some(only);
        }
        let places = self.homes.iter();
        let places = places.map(|(weight, way)| (way.cluster.as_str(), *weight));
        let home = affinity::home(department, places)?;
        let found = self.homes.iter().find(|(_, way)| way.cluster == home);
        found.map(|(_, way)| way)
    }
}

impl Way {
    fn to(place: &ModelUpstream) -> Self {
        Self {
            cluster: place.upstream.clone(),
            is_pool: false,
            rename: place.model.clone(),
        }
    }

    fn destination(&self) -> Destination<'_> {
        Destination {
            cluster: &self.cluster,
            is_pool: self.is_pool,
            rename: self.rename.as_deref(),
        }
    }
}

type Bounds<'p> = (
    HashMap<DepartmentId, usize>,
    Vec<Option<&'p BTreeSet<String>>>,
);

/// The sets of regions that departments are bound to, each once, none first; and the place in
/// that list of each department that is bound.
fn bounds(policy: &Policy) -> Bounds<'_> {
    let mut sets = vec![None];
    let mut bounds = HashMap::new();
    for department in policy.departments.values() {
        let Some(regions) = &department.regions else {
            continue;
        };
        let known = sets.iter().position(|set| *set == Some(regions));
        let at = known.unwrap_or_else(|| {
            sets.push(Some(regions));
            sets.len() - 1
        });
        bounds.insert(department.id.clone(), at);
    }
    (bounds, sets)
}

fn allowed<'p>(
    policy: &Policy,
    model: &'p Model,
    regions: Option<&BTreeSet<String>>,
) -> Vec<&'p ModelUpstream> {
    let places = model.upstreams.iter();
    places
        .filter(|place| {
            let upstream = policy.upstreams.get(&place.upstream);
            upstream.is_some_and(|upstream| is_allowed(upstream, regions))
        })
        .collect()
}

/// An upstream that does not say where it is, is nowhere that somebody was bound to.
fn is_allowed(upstream: &Upstream, regions: Option<&BTreeSet<String>>) -> bool {
    regions.is_none_or(|regions| {
        let region = upstream.region.as_ref();
        region.is_some_and(|region| regions.contains(region))
    })
}

#[cfg(test)]
mod tests;
