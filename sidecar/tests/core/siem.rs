//! Records brought to receivers that misbehave: all of them arrive, in order.

#[path = "siem/http.rs"]
mod http;
#[path = "siem/killed.rs"]
mod killed;
#[path = "siem/syslog.rs"]
mod syslog;

use std::time::Duration;

use sekisho::forward::{Standing, Standings};
use sekisho::policy_file;
use sekisho::siem;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::{World, policy_json};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tasks that bring records, until they are dropped.
pub(crate) struct Bringing {
    tasks: Vec<JoinHandle<()>>,
    pub(crate) standings: Standings,
}

impl Bringing {
    /// To one destination, as the policy file says it.
    pub(crate) async fn start(world: &World, destination: Value) -> Self {
        let mut file = policy_json();
        file["siem"] = json!([destination]);
        let file = policy_file::parse(&file.to_string()).unwrap();
        assert!(
            !String::from_utf8(file.json).unwrap().contains("siem"),
            "filters get it"
        );
        let standings = Standings::default();
        let (store, policy) = (&world.store, &file.policy);
        let tasks = siem::start(
            store,
            policy,
            &file.sections.siem,
            world.writer.origin(),
            &world.clock,
            &standings,
        );
        let tasks = tasks.await.unwrap();
        Self { tasks, standings }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standings.all().remove(0)
    }

    /// Until so many records have been taken.
    pub(crate) async fn taken(&self, records: u64) {
        let waiting = async {
            while self.standing().next < records {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{:?}", self.standing());
    }

    /// Until something is wrong; what.
    pub(crate) async fn failing(&self) -> String {
        let waiting = async {
            loop {
                if let Some(failing) = self.standing().failing() {
                    return failing.why.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }
}

impl Drop for Bringing {
    /// As if the process were killed.
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Adds refusals to the log, each with a number of its own.
pub(crate) async fn add(world: &World, numbers: std::ops::Range<u64>) {
    let mut worker = world.worker(u8::try_from(numbers.start % 200).unwrap() + 1);
    for n in numbers {
        let entry = worker.call(n, "sales").refuse();
        worker.entries(vec![entry]).await;
    }
}

/// All of them, each for the first time in the order of the log.
pub(crate) fn complete_and_in_order(received: &[u64], records: u64) {
    let mut next = 0;
    for seq in received {
        assert!(*seq <= next, "{seq} before {next}: {received:?}");
        next = next.max(seq + 1);
    }
    assert_eq!(next, records, "{received:?}");
}
