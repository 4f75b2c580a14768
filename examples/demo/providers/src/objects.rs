//! What a provider keeps for later calls: files, batches, responses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::provider::Provider;

/// What is known of an object, and what it contains.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) described: Value,
    pub(crate) content: Bytes,
}

/// Each provider knows the objects that it made, and no others.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<BTreeMap<(Provider, String), Object>>);

impl Objects {
    pub(crate) fn put(&self, provider: Provider, id: &str, object: Object) {
        self.all().insert((provider, id.to_owned()), object);
    }

    pub(crate) fn get(&self, provider: Provider, id: &str) -> Option<Object> {
        self.all().get(&(provider, id.to_owned())).cloned()
    }

    pub(crate) fn remove(&self, provider: Provider, id: &str) -> Option<Object> {
        self.all().remove(&(provider, id.to_owned()))
    }

    /// Those whose names begin so, in the order of their names.
    pub(crate) fn list(&self, provider: Provider, prefix: &str) -> Vec<Value> {
        let all = self.all();
        let ours = all
            .iter()
            .filter(|((owner, id), _)| *owner == provider && id.starts_with(prefix));
        ours.map(|(_, object)| object.described.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(Provider, String), Object>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
