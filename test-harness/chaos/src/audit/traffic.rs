//! Clients whose answers are written down.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::load::{Connection, Heard, talk};

/// How long a client rests between two requests, milliseconds.
const REST_MILLIS: std::ops::Range<u64> = 0..60;
/// How long one rests that was refused, milliseconds.
const REFUSED_MILLIS: std::ops::Range<u64> = 50..300;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of a hundred clients so many leave before they have their answer.
const LEAVERS: u8 = 3;
/// Of a hundred requests so many are for a model that is not offered: they are refused, and
/// that has to be on record as well.
const REFUSED: u8 = 5;

/// All clients and what they heard.
pub(super) struct Clients {
    pub(super) gateways: Vec<SocketAddr>,
    pub(super) tokens: Vec<String>,
    heard: Mutex<Vec<Heard>>,
}

impl Clients {
    pub(super) fn new(gateways: Vec<SocketAddr>, tokens: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            gateways,
            tokens,
            heard: Mutex::default(),
        })
    }

    /// What was heard so far, of requests of which anything was heard.
    pub(super) fn heard(&self) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }

    /// One request after the other, until it is time to stop.
    pub(super) async fn go_on(self: Arc<Self>, seed: u64, stop: watch::Receiver<bool>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (Some(gateway), Some(token)) =
            (random.choice(&self.gateways), random.choice(&self.tokens))
        else {
            return;
        };
        let mut kept: Option<Connection> = None;
        while !*stop.borrow() {
            let body = request(&mut random);
            let leaves = random.u8(..100) < LEAVERS;
            let patience = if leaves {
                Duration::from_millis(random.u64(0..60))
            } else {
                PATIENCE
            };
            let asking = talk(&mut kept, *gateway, token, &body);
            let heard = tokio::time::timeout(patience, asking).await;
            let heard = heard.unwrap_or_default();
            if !heard.whole {
                kept = None;
            }
            let answered = heard.status == Some(200);
            if heard.status.is_some() {
                let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(heard);
            }
            let rest = if answered || leaves {
                random.u64(REST_MILLIS)
            } else {
                random.u64(REFUSED_MILLIS)
            };
            tokio::time::sleep(Duration::from_millis(rest)).await;
        }
    }
}

fn request(random: &mut fastrand::Rng) -> String {
    let model = if random.u8(..100) < REFUSED {
        "none"
    } else {
        "gpt-4o"
    };
    let body = json!({
        "messages": [{"role": "user", "content": "2 What is a sekisho?"}],
        "model": model,
        "max_tokens": random.u64(1..=50),
        "stream": random.bool(),
    });
    body.to_string()
}
