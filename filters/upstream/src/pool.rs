//! Several upstreams of one model, in the order in which they are asked.

use std::fmt::Write as _;

use sekisho_domain::policy::ModelUpstream;

/// One upstream of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The upstream's name.
    pub upstream: String,
    /// What the path calls the model there. None: what the filter has written stands.
    pub path_model: Option<String>,
    /// Its share among those of the same priority.
    pub weight: u32,
    /// Lower numbers are asked first.
    pub priority: u8,
}

impl Member {
    /// A name for this upstream under this name of the model: each pool that has both shares
    /// the way there.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.path_model {
            None => self.upstream.clone(),
            Some(model) => format!("{}({model})", self.upstream),
        }
    }
}

/// Two or more upstreams of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Those that are asked first first; of one priority the heaviest.
    pub members: Vec<Member>,
}

impl Pool {
    /// The pool of these places; `model` is the name that clients use. Also the name that the
    /// filter has to write where all places agree on another than that.
    pub(crate) fn new<'p>(places: &[&'p ModelUpstream], model: &str) -> (Self, Option<&'p str>) {
        let mut names = places.iter().map(|place| place.model.as_deref());
        let first = names.next().flatten();
        let agreed = names.all(|name| name == first);
        let members = places.iter().map(|place| Member {
            upstream: place.upstream.clone(),
            path_model: (!agreed).then(|| place.model.as_deref().unwrap_or(model).to_owned()),
            weight: place.weight,
            priority: place.priority,
        });
        let pool = Self {
            members: members.collect(),
        };
        (pool, first.filter(|_| agreed))
    }

    /// The pool's name, which says all of it: `a*3+b>c` is `a` and `b`, 3 to 1, and after them
    /// `c`. No upstream can be called so.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        let mut last = None;
        for member in &self.members {
            match last {
                None => {}
                Some(priority) if priority == member.priority => name.push('+'),
                Some(_) => name.push('>'),
            }
            last = Some(member.priority);
            name.push_str(&member.label());
            if member.weight != 1 {
                // Writing to a string does not fail.
                let _ = write!(name, "*{}", member.weight);
            }
        }
        name
    }

    /// The orders in which the proxy may go through the members, each with its share of the
    /// calls: one for each of those that are asked first.
    #[must_use]
    pub fn orders(&self) -> Vec<(u32, Vec<&Member>)> {
        let Some(top) = self.members.first().map(|member| member.priority) else {
            return Vec::new();
        };
        let firsts = self.members.iter().filter(|member| member.priority == top);
        firsts
            .map(|first| {
                let rest = self.members.iter().filter(|member| *member != first);
                (first.weight, std::iter::once(first).chain(rest).collect())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(upstream: &str, model: Option<&str>, weight: u32, priority: u8) -> ModelUpstream {
        ModelUpstream {
            upstream: upstream.into(),
            model: model.map(str::to_owned),
            weight,
            priority,
        }
    }

    fn pool(places: &[ModelUpstream]) -> (Pool, Option<&str>) {
        Pool::new(&places.iter().collect::<Vec<_>>(), "m")
    }

    #[test]
    fn a_name_tells_everything() {
        let places = [
            place("a", None, 3, 0),
            place("b", None, 1, 0),
            place("c", None, 1, 2),
        ];
        assert_eq!(pool(&places).0.name(), "a*3+b>c");
    }

    #[test]
    fn a_name_that_all_agree_on_is_the_filters_to_write() {
        let (pool, rename) = {
            let places = [place("a", Some("x"), 1, 0), place("b", Some("x"), 1, 0)];
            let (pool, rename) = pool(&places);
            (pool, rename.map(str::to_owned))
        };
        assert_eq!(rename.as_deref(), Some("x"));
        assert!(pool.members.iter().all(|m| m.path_model.is_none()));
    }

    #[test]
    fn other_names_are_each_upstreams_own() {
        let places = [place("a", Some("x"), 1, 0), place("b", None, 1, 1)];
        let (pool, rename) = pool(&places);
        assert_eq!((pool.name().as_str(), rename), ("a(x)>b(m)", None));
    }

    #[test]
    fn whoever_is_first_the_others_follow() {
        let places = [
            place("a", None, 3, 0),
            place("b", None, 1, 0),
            place("c", None, 1, 2),
        ];
        let (pool, _) = pool(&places);
        let orders: Vec<_> = pool
            .orders()
            .into_iter()
            .map(|(share, order)| {
                let names: Vec<_> = order.iter().map(|m| m.upstream.clone()).collect();
                (share, names.join(""))
            })
            .collect();
        assert_eq!(orders, [(3, "abc".to_owned()), (1, "bac".to_owned())]);
    }
}
