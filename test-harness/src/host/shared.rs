//! Shared data and queues: one set per proxy, under VM ids.

use std::collections::{BTreeMap, VecDeque};

use super::abi::Status;

/// Key-value pairs under VM ids, each with the number of its last change.
#[derive(Debug, Default)]
pub(crate) struct SharedData {
    values: BTreeMap<(String, String), (Vec<u8>, u32)>,
    changes: u32,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &str) -> Option<&(Vec<u8>, u32)> {
        self.values.get(&(vm_id.to_owned(), key.to_owned()))
    }

    /// Sets a value. `cas` 0 overwrites; anything else must be the number that was read, unless
    /// the key is new.
    pub(crate) fn set(
        &mut self,
        vm_id: &str,
        key: &str,
        value: Vec<u8>,
        cas: u32,
    ) -> Result<(), Status> {
        let present = self.get(vm_id, key).map(|(_, change)| *change);
        if cas != 0 && present.is_some_and(|change| change != cas) {
            return Err(Status::CasMismatch);
        }
        self.changes = self.changes.checked_add(1).unwrap_or(1);
        self.values
            .insert((vm_id.to_owned(), key.to_owned()), (value, self.changes));
        Ok(())
    }
}

/// A queue; the last VM that registered it is told of items.
#[derive(Debug)]
pub(crate) struct Queue {
    vm_id: String,
    name: String,
    pub(crate) consumer: (usize, u32),
    pub(crate) items: VecDeque<Vec<u8>>,
}

/// Queues by token; a token is a place in the list, from 1.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: Vec<Queue>,
    /// Tokens of queues whose consumers are to be told.
    pub(crate) ready: VecDeque<u32>,
}

impl Queues {
    pub(crate) fn register(&mut self, vm_id: &str, name: &str, consumer: (usize, u32)) -> u32 {
        if let Some(token) = self.resolve(vm_id, name) {
            if let Some(queue) = self.queue(token) {
                queue.consumer = consumer;
            }
            return token;
        }
        self.queues.push(Queue {
            vm_id: vm_id.to_owned(),
            name: name.to_owned(),
            consumer,
            items: VecDeque::new(),
        });
        u32::try_from(self.queues.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &str) -> Option<u32> {
        let place = self
            .queues
            .iter()
            .position(|q| q.vm_id == vm_id && q.name == name)?;
        u32::try_from(place + 1).ok()
    }

    pub(crate) fn queue(&mut self, token: u32) -> Option<&mut Queue> {
        self.queues.get_mut((token as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_change_number_is_refused_and_zero_overwrites() {
        let mut shared = SharedData::default();
        shared.set("vm", "k", b"1".to_vec(), 0).unwrap();
        let (_, change) = shared.get("vm", "k").cloned().unwrap();
        shared.set("vm", "k", b"2".to_vec(), change).unwrap();
        assert_eq!(
            shared.set("vm", "k", b"3".to_vec(), change),
            Err(Status::CasMismatch)
        );
        shared.set("vm", "k", b"4".to_vec(), 0).unwrap();
        assert_eq!(shared.get("vm", "k").unwrap().0, b"4");
        assert!(shared.get("other", "k").is_none());
    }
}
