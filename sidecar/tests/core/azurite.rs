//! Azurite, Microsoft's emulator of Azure Blob Storage.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::cloud::{Cloud, cache};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Azurite's account and key, which are the same everywhere.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) struct Azurite {
    /// Of the account.
    url: String,
    _process: Child,
}

impl Azurite {
    pub(crate) async fn start() -> Self {
        let mut process = Command::new(node())
            .arg(installed().join("azurite/dist/src/blob/main.js"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
            .args([
                "--disableTelemetry",
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = async {
            loop {
                // `None`: it has ended, and its standard error says why.
                let line = said.next_line().await.unwrap().unwrap();
                if let Some((_, address)) = line.split_once("listens on ") {
                    return address.to_owned();
                }
            }
        };
        let address = tokio::time::timeout(PATIENCE, address).await.unwrap();
        // Whatever else it says is read, or it would stand still.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self {
            url: format!("{address}/{ACCOUNT}"),
            _process: process,
        }
    }
}

impl Cloud for Azurite {
    const SCHEME: &str = "az";
    const MISSING: &str = "ContainerNotFound";

    async fn make(&self, container: &str) {
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let (date, version) = (date.to_string(), "2023-11-03");
        let text = format!(
            "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container",
            "\n".repeat(12)
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}/{container}?restype=container", self.url);
        let made = reqwest::Client::new()
            .put(url)
            .header("x-ms-date", date)
            .header("x-ms-version", version)
            .header("content-length", 0)
            .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    }

    fn environment(&self) -> Vec<(String, String)> {
        let environment = [
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY),
            ("AZURE_STORAGE_ENDPOINT", self.url.as_str()),
            ("AZURE_ALLOW_HTTP", "true"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        environment.to_vec()
    }
}

fn installed() -> PathBuf {
    let installed = cache().join("azurite/node_modules");
    assert!(
        installed.exists(),
        "{} is missing: run scripts/setup --only azurite",
        installed.display()
    );
    installed
}

/// The Node.js of the cache is there only when the machine's own is too old.
fn node() -> PathBuf {
    let own = cache().join("node/bin/node");
    if own.exists() { own } else { "node".into() }
}
