use std::collections::BTreeMap;

use sekisho_domain::{Meter, Mode, Payer, StreamCut, Subject, Tokens, UnixMillis, WindowUnit};
use sqlx::Connection as _;

use super::*;

fn budget(id: &str, limit: u64) -> Budget {
    Budget {
        id: id.into(),
        payer: Payer::Department("sales".into()),
        subject: Subject::Everything,
        meter: Meter::Requests,
        window: Some(WindowUnit::Day),
        limit,
        mode: Mode::Strict,
    }
}

/// A sidecar's database, which is started with one policy file after the other.
struct Installation {
    _dir: tempfile::TempDir,
    store: Store,
    starts: u64,
}

impl Installation {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        Self {
            store: Store::open(&url).await.unwrap(),
            _dir: dir,
            starts: 0,
        }
    }

    async fn start(&mut self, file: &[Budget]) {
        self.start_after(file, &BTreeMap::new()).await;
    }

    async fn start_after(&mut self, file: &[Budget], counted: &BTreeMap<String, Budget>) {
        self.starts += 1;
        let now = UnixMillis(self.starts);
        let mut connection = self.store.pool().acquire().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let mut author = Author::program(THE_FILE, now, [0; 32]);
        let seeded = seed(&mut transaction, file, counted, &mut author, true);
        seeded.await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn set(&self, wanted: Option<Budget>, id: &str) {
        let mut connection = self.store.pool().acquire().await.unwrap();
        let former = find_on(&mut connection, id).await.unwrap();
        let changed = match &wanted {
            Some(wanted) => StoredBudget::changed(former.as_ref(), wanted, Origin::Api),
            None => former.as_ref().map(|former| former.without(Origin::Api)),
        };
        let Some(changed) = changed else { return };
        let author = Author::program("t/admin", UnixMillis(99), [0; 32]);
        let saved = save(&mut connection, former.as_ref(), changed, &author);
        saved.await.unwrap();
    }

    /// Counters and limits of what is in force.
    async fn in_force(&self) -> Vec<(String, u64)> {
        let found = list(&self.store, None, "", 100).await.unwrap();
        found
            .into_iter()
            .map(|stored| (stored.budget.id.0, stored.budget.limit))
            .collect()
    }

    async fn actions(&self, id: &str) -> Vec<(&'static str, String)> {
        let changes = history(&self.store, id, i64::MAX, 100).await.unwrap();
        changes
            .into_iter()
            .map(|change| (change.action.as_str(), change.by))
            .collect()
    }
}

fn counters(counters: &[(&str, u64)]) -> Vec<(String, u64)> {
    let named = counters.iter();
    named
        .map(|(name, limit)| ((*name).to_owned(), *limit))
        .collect()
}

#[tokio::test]
async fn the_file_seeds_budgets_and_changes_those_that_nobody_else_has_changed() {
    let mut all = Installation::new().await;
    all.start(&[budget("a", 1), budget("b", 2)]).await;
    all.start(&[budget("a", 1), budget("b", 2)]).await;
    assert_eq!(all.in_force().await, counters(&[("a", 1), ("b", 2)]));
    assert_eq!(all.actions("a").await.len(), 1, "nothing changed");
    all.start(&[budget("a", 5), budget("c", 3)]).await;
    assert_eq!(all.in_force().await, counters(&[("a", 5), ("c", 3)]));
    let by = |action| (action, "policy file".to_owned());
    assert_eq!(all.actions("a").await, [by("changed"), by("created")]);
    assert_eq!(all.actions("b").await, [by("removed"), by("created")]);
}

#[tokio::test]
async fn what_was_set_over_the_api_outlives_the_file() {
    let mut all = Installation::new().await;
    let file = [budget("a", 1), budget("b", 2)];
    all.start(&file).await;
    all.set(Some(budget("a", 7)), "a").await;
    all.set(None, "b").await;
    all.set(Some(budget("c", 3)), "c").await;
    for file in [&file[..], &[budget("a", 9), budget("b", 9)], &[]] {
        all.start(file).await;
        assert_eq!(all.in_force().await, counters(&[("a", 7), ("c", 3)]));
    }
    let newest = &history(&all.store, "a", i64::MAX, 1).await.unwrap()[0];
    assert_eq!((newest.by.as_str(), newest.at), ("t/admin", UnixMillis(99)));
    let limit = |value: &Option<Value>| value.as_ref().unwrap()["limit"].clone();
    assert_eq!(
        (limit(&newest.former), limit(&newest.budget)),
        (1.into(), 7.into())
    );
}

#[tokio::test]
async fn a_budget_that_counts_something_else_begins_a_new_counter() {
    let mut all = Installation::new().await;
    all.start(&[budget("a", 1)]).await;
    let others = [
        Budget {
            meter: Meter::Tokens,
            ..budget("a", 1)
        },
        Budget {
            window: Some(WindowUnit::Month),
            ..budget("a", 1)
        },
        Budget {
            payer: Payer::Organisation,
            ..budget("a", 1)
        },
        Budget {
            subject: Subject::Api("x".into()),
            ..budget("a", 1)
        },
    ];
    for (counter, other) in ["a#2", "a#3", "a#4", "a#5"].iter().zip(others) {
        all.start(std::slice::from_ref(&other)).await;
        assert_eq!(all.in_force().await, counters(&[(counter, 1)]));
        all.start(&[Budget { limit: 2, ..other }]).await;
        assert_eq!(all.in_force().await, counters(&[(counter, 2)]));
    }
}

#[tokio::test]
async fn a_budget_that_follows_answers_from_now_on_goes_on_counting() {
    let mut all = Installation::new().await;
    all.start(&[budget("a", 1)]).await;
    let mode = Mode::StreamCut(StreamCut {
        estimate: Tokens(10),
        ahead: Tokens(1),
    });
    let tokens = Budget {
        meter: Meter::Tokens,
        ..budget("a", 1)
    };
    let followed = Budget {
        mode,
        ..tokens.clone()
    };
    all.start(&[tokens]).await;
    for wanted in [&followed, &budget("a", 1)] {
        all.start(std::slice::from_ref(wanted)).await;
        let stored = find(&all.store, "a").await.unwrap().unwrap();
        assert!(stored.budget.is_as(wanted));
    }
    let counters: Vec<u64> = history(&all.store, "a", i64::MAX, 9)
        .await
        .unwrap()
        .iter()
        .map(|change| u64::from(change.version > 0))
        .collect();
    assert_eq!(counters.len(), 4, "the mode alone is a change too");
    let stored = find(&all.store, "a").await.unwrap().unwrap();
    assert_eq!(
        stored.generation, 3,
        "and the only one without a counter of its own"
    );
}

#[tokio::test]
async fn what_was_removed_begins_anew() {
    let mut all = Installation::new().await;
    all.start(&[budget("a", 1)]).await;
    all.start(&[]).await;
    assert_eq!(all.in_force().await, []);
    all.start(&[budget("a", 1)]).await;
    assert_eq!(all.in_force().await, counters(&[("a#2", 1)]));
    all.set(None, "a").await;
    all.set(Some(budget("a", 1)), "a").await;
    assert_eq!(all.in_force().await, counters(&[("a#3", 1)]));
}

#[tokio::test]
async fn what_was_counted_before_there_was_a_table_is_not_mixed_either() {
    let mut all = Installation::new().await;
    let counted = BTreeMap::from([
        ("a".to_owned(), budget("a", 1)),
        (
            "b".to_owned(),
            Budget {
                meter: Meter::Cost,
                ..budget("b", 1)
            },
        ),
    ]);
    all.start_after(&[budget("a", 2), budget("b", 2)], &counted)
        .await;
    assert_eq!(all.in_force().await, counters(&[("a", 2), ("b#2", 2)]));
}

#[tokio::test]
async fn filters_hear_what_changed_and_what_is_no_more() {
    let mut all = Installation::new().await;
    all.start(&[budget("a", 1), budget("b", 2)]).await;
    let seen = crate::store::people::version(&all.store).await.unwrap();
    all.set(None, "a").await;
    all.set(Some(budget("c", 2)), "c").await;
    let changed = changed_after(&all.store, seen).await.unwrap();
    let heard: Vec<(String, bool)> = changed
        .iter()
        .map(|stored| (stored.to_link().counter, stored.to_link().removed))
        .collect();
    assert_eq!(heard, [("a".to_owned(), true), ("c".to_owned(), false)]);
}
