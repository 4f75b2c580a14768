//! The scope tree: `all_apis` > `text_apis` > `claude_api`, ...
//!
//! Holding a scope grants all of its descendants. The tree is compiled into one bit
//! per scope, so that every check is one AND.

use std::collections::HashMap;

/// Most scopes that a tree may have.
pub const MAX_SCOPES: usize = 128;

/// A set of scopes of one [`ScopeTree`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(u128);

impl ScopeSet {
    /// No scope at all: what everybody has until something grants more.
    pub const NONE: Self = Self(0);
    /// Every scope: the neutral element of narrowing.
    pub const ALL: Self = Self(u128::MAX);

    /// What is in either set: a token's grants add up.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets: entitlements only narrow.
    #[must_use]
    pub const fn narrowed_to(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `required` is granted.
    #[must_use]
    pub const fn grants(self, required: ScopeId) -> bool {
        self.0 & (1 << required.0) != 0
    }

    /// Whether nothing is granted.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One scope of a [`ScopeTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeId(u8);

/// Why a list of scopes is not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeTreeError {
    /// The parent is not a scope.
    #[error("scope `{scope}`: parent `{parent}` is not a scope")]
    UnknownParent { scope: String, parent: String },
    /// Following the parents comes back to the scope.
    #[error("scope `{scope}` is its own ancestor")]
    Cycle { scope: String },
    /// Over [`MAX_SCOPES`].
    #[error("{count} scopes, at most 128 are possible")]
    TooMany { count: usize },
}

/// Scopes by name, each with what holding it grants.
#[derive(Clone, Debug, Default)]
pub struct ScopeTree {
    ids: HashMap<String, ScopeId>,
    names: Vec<String>,
    grants: Vec<ScopeSet>,
}

impl ScopeTree {
    /// Builds the tree from `(scope, parent)` pairs.
    ///
    /// # Errors
    /// All [`ScopeTreeError`]s at once.
    pub fn new(parents: &[(String, Option<String>)]) -> Result<Self, Vec<ScopeTreeError>> {
        if parents.len() > MAX_SCOPES {
            return Err(vec![ScopeTreeError::TooMany {
                count: parents.len(),
            }]);
        }
        let mut tree = Self::default();
        for (at, (name, _)) in parents.iter().enumerate() {
            tree.ids
                .insert(name.clone(), ScopeId(u8::try_from(at).unwrap_or(u8::MAX)));
            tree.names.push(name.clone());
            tree.grants.push(ScopeSet(1 << at));
        }
        let by_name: HashMap<&str, Option<&str>> = parents
            .iter()
            .map(|(name, parent)| (name.as_str(), parent.as_deref()))
            .collect();
        let mut errors = Vec::new();
        for (name, parent) in parents {
            if let Err(error) = tree.grant_to_ancestors(name, parent.as_deref(), &by_name) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(tree)
        } else {
            Err(errors)
        }
    }

    fn grant_to_ancestors(
        &mut self,
        name: &str,
        parent: Option<&str>,
        by_name: &HashMap<&str, Option<&str>>,
    ) -> Result<(), ScopeTreeError> {
        let own = self
            .ids
            .get(name)
            .map_or(ScopeSet::NONE, |id| ScopeSet(1 << id.0));
        let mut above = parent;
        let mut steps = 0usize;
        while let Some(ancestor) = above {
            let Some(id) = self.ids.get(ancestor) else {
                return if parent == Some(ancestor) {
                    Err(ScopeTreeError::UnknownParent {
                        scope: name.to_owned(),
                        parent: ancestor.to_owned(),
                    })
                } else {
                    Ok(()) // reported at the ancestor itself
                };
            };
            steps += 1;
            if ancestor == name || steps > by_name.len() {
                return Err(ScopeTreeError::Cycle {
                    scope: name.to_owned(),
                });
            }
            if let Some(set) = self.grants.get_mut(usize::from(id.0)) {
                *set = set.union(own);
            }
            above = by_name.get(ancestor).copied().flatten();
        }
        Ok(())
    }

    /// The scope of this name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ScopeId> {
        self.ids.get(name).copied()
    }

    /// The name of a scope of this tree.
    #[must_use]
    pub fn name(&self, id: ScopeId) -> &str {
        self.names.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// What holding `name` grants: itself and its descendants; nothing for a name that
    /// the tree does not know.
    #[must_use]
    pub fn granted_by(&self, name: &str) -> ScopeSet {
        self.id(name)
            .and_then(|id| self.grants.get(usize::from(id.0)).copied())
            .unwrap_or(ScopeSet::NONE)
    }

    /// What holding all of `names` grants.
    #[must_use]
    pub fn granted_by_all<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> ScopeSet {
        names
            .into_iter()
            .fold(ScopeSet::NONE, |set, name| set.union(self.granted_by(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pairs: &[(&str, Option<&str>)]) -> Result<ScopeTree, Vec<ScopeTreeError>> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(s, p)| ((*s).to_owned(), p.map(str::to_owned)))
            .collect();
        ScopeTree::new(&pairs)
    }

    #[test]
    fn a_parent_grants_its_descendants_and_nothing_else() {
        let tree = tree(&[
            ("claude_api", Some("text_apis")),
            ("all_apis", None),
            ("text_apis", Some("all_apis")),
            ("audio_apis", Some("all_apis")),
        ])
        .unwrap();
        let claude = tree.id("claude_api").unwrap();
        let audio = tree.id("audio_apis").unwrap();
        assert!(tree.granted_by("all_apis").grants(claude));
        assert!(tree.granted_by("text_apis").grants(claude));
        assert!(!tree.granted_by("text_apis").grants(audio));
        assert!(
            !tree
                .granted_by("claude_api")
                .grants(tree.id("text_apis").unwrap())
        );
        assert!(tree.granted_by("nobody_knows").is_empty());
    }

    #[test]
    fn unknown_parents_and_cycles_are_named() {
        assert!(matches!(
            tree(&[("a", Some("z"))]).unwrap_err().as_slice(),
            [ScopeTreeError::UnknownParent { .. }]
        ));
        assert_eq!(
            tree(&[("a", Some("b")), ("b", Some("a"))])
                .unwrap_err()
                .len(),
            2
        );
        assert!(tree(&[("a", Some("a"))]).is_err());
    }
}
