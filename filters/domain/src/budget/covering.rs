//! Which budgets cover a call, found without looking at the others.

use super::{Payer, Subject};
use crate::Modality;

/// What every call is looked up in, by names that only the sidecar brings in: nobody can fill one
/// place of it. The standard library's hash, which withstands that, costs several times as much.
type Map<T> = std::collections::HashMap<String, T, foldhash::fast::RandomState>;

/// What decides by which budgets a call is covered. Empty text: unknown, which no budget names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered<'a> {
    /// Who pays.
    pub department: &'a str,
    /// Who calls, by the company's id.
    pub user: &'a str,
    /// By which subscription key.
    pub key: &'a str,
    /// Which API.
    pub api: &'a str,
    /// Which model, by the name that clients use.
    pub model: &'a str,
    /// What the operation handles.
    pub modality: Option<Modality>,
}

/// An index from calls to budgets. Finding those of a call takes as long with ten budgets
/// as with ten thousand. `T` names a budget.
#[derive(Clone, Debug)]
pub struct Covering<T> {
    organisation: Subjects<T>,
    departments: Map<Subjects<T>>,
    users: Map<Subjects<T>>,
    keys: Map<Subjects<T>>,
}

/// The budgets of one payer.
#[derive(Clone, Debug)]
struct Subjects<T> {
    everything: Vec<T>,
    apis: Map<Vec<T>>,
    models: Map<Vec<T>>,
    modalities: Vec<(Modality, T)>,
}

impl<T> Default for Covering<T> {
    fn default() -> Self {
        Self {
            organisation: Subjects::default(),
            departments: Map::default(),
            users: Map::default(),
            keys: Map::default(),
        }
    }
}

impl<T> Default for Subjects<T> {
    fn default() -> Self {
        Self {
            everything: Vec::new(),
            apis: Map::default(),
            models: Map::default(),
            modalities: Vec::new(),
        }
    }
}

impl<T: Copy + PartialEq> Covering<T> {
    /// Adds a budget, once.
    pub fn insert(&mut self, payer: &Payer, subject: &Subject, name: T) {
        let subjects = match payer {
            Payer::Organisation => &mut self.organisation,
            Payer::Department(id) => self.departments.entry(id.0.clone()).or_default(),
            Payer::User(id) => self.users.entry(id.0.clone()).or_default(),
            Payer::Key(id) => self.keys.entry(id.0.clone()).or_default(),
        };
        match subject {
            Subject::Everything => subjects.everything.push(name),
            Subject::Api(id) => subjects.apis.entry(id.0.clone()).or_default().push(name),
            Subject::Model(model) => {
                let of_model = subjects.models.entry(model.clone()).or_default();
                of_model.push(name);
            }
            Subject::Modality(modality) => subjects.modalities.push((*modality, name)),
        }
    }

    /// Takes a budget out that was added as it is here.
    pub fn remove(&mut self, payer: &Payer, subject: &Subject, name: T) {
        let subjects = match payer {
            Payer::Organisation => Some(&mut self.organisation),
            Payer::Department(id) => self.departments.get_mut(id.as_str()),
            Payer::User(id) => self.users.get_mut(id.as_str()),
            Payer::Key(id) => self.keys.get_mut(id.as_str()),
        };
        let Some(subjects) = subjects else { return };
        let list = match subject {
            Subject::Everything => Some(&mut subjects.everything),
            Subject::Api(id) => subjects.apis.get_mut(id.as_str()),
            Subject::Model(model) => subjects.models.get_mut(model),
            Subject::Modality(_) => {
                subjects.modalities.retain(|(_, known)| *known != name);
                None
            }
        };
        if let Some(list) = list {
            list.retain(|known| *known != name);
        }
    }

    /// Names every budget that covers the call.
    pub fn of(&self, call: &Covered<'_>, mut found: impl FnMut(T)) {
        self.organisation.of(call, &mut found);
        for (payers, payer) in [
            (&self.departments, call.department),
            (&self.users, call.user),
            (&self.keys, call.key),
        ] {
            if !payer.is_empty()
                && !payers.is_empty()
                && let Some(subjects) = payers.get(payer)
            {
                subjects.of(call, &mut found);
            }
        }
    }
}

impl<T: Copy> Subjects<T> {
    fn of(&self, call: &Covered<'_>, found: &mut impl FnMut(T)) {
        self.everything.iter().copied().for_each(&mut *found);
        for (lists, name) in [(&self.apis, call.api), (&self.models, call.model)] {
            if !lists.is_empty()
                && let Some(list) = lists.get(name)
            {
                list.iter().copied().for_each(&mut *found);
            }
        }
        for (modality, name) in &self.modalities {
            if Some(*modality) == call.modality {
                found(*name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budget, Meter, WindowUnit};

    fn budget(payer: Payer, subject: Subject) -> Budget {
        Budget {
            id: "b".into(),
            payer,
            subject,
            meter: Meter::Requests,
            window: Some(WindowUnit::Day),
            limit: 1,
            mode: crate::Mode::Strict,
        }
    }

    fn every_kind() -> Vec<Budget> {
        let payers = [
            Payer::Organisation,
            Payer::Department("sales".into()),
            Payer::Department("hr".into()),
            Payer::User("001".into()),
            Payer::Key("key-1".into()),
        ];
        let subjects = [
            Subject::Everything,
            Subject::Api("azure".into()),
            Subject::Model("gpt-4o".into()),
            Subject::Modality(Modality::Audio),
        ];
        payers
            .iter()
            .flat_map(|payer| {
                subjects
                    .iter()
                    .map(|subject| budget(payer.clone(), subject.clone()))
            })
            .collect()
    }

    fn calls() -> Vec<Covered<'static>> {
        let some = Covered {
            department: "sales",
            user: "001",
            key: "key-1",
            api: "azure",
            model: "gpt-4o",
            modality: Some(Modality::Audio),
        };
        vec![
            some,
            Covered::default(),
            Covered {
                department: "hr",
                user: "002",
                ..some
            },
            Covered {
                key: "",
                model: "tts",
                ..some
            },
            Covered {
                api: "bedrock",
                modality: Some(Modality::Text),
                ..some
            },
        ]
    }

    #[test]
    fn the_index_finds_exactly_the_budgets_that_cover_a_call() {
        let budgets = every_kind();
        let mut index = Covering::default();
        for (at, budget) in budgets.iter().enumerate() {
            index.insert(&budget.payer, &budget.subject, at);
        }
        for gone in [None, Some(0), Some(5), Some(7), Some(14)] {
            if let Some(gone) = gone {
                index.remove(&budgets[gone].payer, &budgets[gone].subject, gone);
            }
            for call in calls() {
                let mut found = Vec::new();
                index.of(&call, |at| found.push(at));
                found.sort_unstable();
                let removed: &[usize] = match gone {
                    None => &[],
                    Some(0) => &[0],
                    Some(5) => &[0, 5],
                    Some(7) => &[0, 5, 7],
                    _ => &[0, 5, 7, 14],
                };
                let expected: Vec<usize> = (0..budgets.len())
                    .filter(|at| budgets[*at].covers(&call) && !removed.contains(at))
                    .collect();
                assert_eq!(found, expected, "{call:?}");
            }
        }
    }

    #[test]
    fn a_caller_of_whom_nothing_is_known_is_covered_by_the_organisation_alone() {
        let mut index = Covering::default();
        for (at, budget) in every_kind().iter().enumerate() {
            index.insert(&budget.payer, &budget.subject, at);
        }
        let mut found = Vec::new();
        index.of(&Covered::default(), |at| found.push(at));
        assert_eq!(found, [0]);
    }
}
