//! A real mail server (aiosmtpd, over TLS), and what it has taken.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::ChaosError;

/// The last password that each address was told.
pub(super) type Told = HashMap<String, String>;

pub(super) struct Post {
    port: u16,
    told: Arc<Mutex<Told>>,
    _process: Child,
}

/// What the server prints of a mail.
#[derive(Deserialize)]
struct Taken {
    to: Vec<String>,
    tls: bool,
    text: String,
}

impl Post {
    pub(super) async fn start(python: &Path, folder: &Path) -> Result<Self, ChaosError> {
        let mut process = Command::new(python)
            .arg(folder.join("core/mail_server.py"))
            .arg(folder.join("tls"))
            .arg("starttls")
            // Its mood stays what it is at first: it takes everything.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take();
        let output = output.ok_or(ChaosError::Unfinished("the mail server"))?;
        let mut lines = BufReader::new(output).lines();
        let port = lines.next_line().await?.and_then(|line| line.parse().ok());
        let port = port.ok_or(ChaosError::Unfinished("the mail server"))?;
        let told: Arc<Mutex<Told>> = Arc::default();
        let noted = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(taken) = serde_json::from_str::<Taken>(&line) else {
                    continue;
                };
                let mut told = noted.lock().unwrap_or_else(PoisonError::into_inner);
                let mut lines = taken.text.lines();
                let password = lines.find_map(|line| line.strip_prefix("Initial password: "));
                if let (true, Some(to), Some(password)) = (taken.tls, taken.to.first(), password) {
                    told.insert(to.clone(), password.to_owned());
                }
            }
        });
        Ok(Self {
            port,
            told,
            _process: process,
        })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// What everybody was told last.
    pub(super) fn last(&self) -> Told {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
