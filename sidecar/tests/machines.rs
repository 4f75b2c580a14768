//! Two sidecars as processes on one PostgreSQL, as on two machines. Without PostgreSQL
//! (`SEKISHO_TEST_POSTGRES`) there is nothing to see.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is missing fails the test"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// What is promised, from the moment at which the active sidecar is gone.
const TAKE_OVER: Duration = Duration::from_secs(2);
const STARTED: Duration = Duration::from_secs(20);

struct Sidecar {
    process: Child,
    api: SocketAddr,
    link: SocketAddr,
    client: Client,
}

/// A database of their own, and a folder for what each keeps outside it.
struct Site {
    folder: TempDir,
    database: String,
}

impl Site {
    /// None without PostgreSQL.
    async fn new() -> Option<Self> {
        let url = std::env::var("SEKISHO_TEST_POSTGRES").ok()?;
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = name.to_lowercase();
        sqlx::any::install_default_drivers();
        let plain = sqlx::AnyPool::connect(&url).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
        sqlx::raw_sql(sql).execute(&plain).await.unwrap();
        let join = if url.contains('?') { '&' } else { '?' };
        let database = format!("{url}{join}options=-csearch_path%3D{name}");
        Some(Self { folder, database })
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The keys of one sidecar for another.
    fn copy_keys(&self, from: &str, to: &str) {
        std::fs::create_dir(self.state(to)).unwrap();
        for file in ["log-key.pem", "key-pepper", "contents-key"] {
            std::fs::copy(self.state(from).join(file), self.state(to).join(file)).unwrap();
        }
    }

    fn start(&self, state: &str) -> Sidecar {
        let (api, link) = (free_port(), free_port());
        let process = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["serve", "--policy", "examples/demo/sekisho.yaml"])
            .args(["--api", &api.to_string(), "--link", &link.to_string()])
            .arg("--state")
            .arg(self.state(state))
            .env("SEKISHO_DB", &self.database)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sidecar {
            process,
            api,
            link,
            client: client(),
        }
    }
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A sidecar that hangs must not hang the test.
    Client::builder()
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap()
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Sidecar {
    async fn ask(&self, method: Method, path: &str) -> Option<Response> {
        let url = format!("http://{}{path}", self.api);
        self.client.request(method, url).send().await.ok()
    }

    async fn health(&self) -> Option<String> {
        let answer = self.ask(Method::GET, "/v1/system/health").await?;
        let body: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        body["status"].as_str().map(str::to_owned)
    }

    /// Whether a gateway gets a connection.
    fn takes_gateways(&self) -> bool {
        TcpStream::connect_timeout(&self.link, Duration::from_millis(100)).is_ok()
    }

    /// How long it took until it was so.
    async fn becomes(&self, status: &str, most: Duration) -> Duration {
        let began = Instant::now();
        while self.health().await.as_deref() != Some(status) {
            assert!(
                began.elapsed() < most,
                "it is not `{status}` after {most:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn two(site: &Site) -> (Sidecar, Sidecar) {
    let first = site.start("a");
    first.becomes("ok", STARTED).await;
    site.copy_keys("a", "b");
    let second = site.start("b");
    second.becomes("standby", STARTED).await;
    (first, second)
}

#[tokio::test]
async fn a_standby_reads_for_people_and_sends_changes_and_gateways_to_the_active_one() {
    let Some(site) = Site::new().await else {
        return;
    };
    let (active, standby) = two(&site).await;
    assert!(active.takes_gateways() && !standby.takes_gateways());
    for sidecar in [&active, &standby] {
        let users = sidecar.ask(Method::GET, "/v1/users").await.unwrap();
        assert_eq!(users.status(), 401, "reads need a token everywhere");
    }
    let path = "/v1/users/E001/disable?because=test";
    let there = active.ask(Method::PUT, path).await.unwrap();
    assert_eq!(there.status(), 401);
    let here = standby.ask(Method::PUT, path).await.unwrap();
    assert_eq!(here.status(), 503);
    assert_eq!(here.headers()["retry-after"], "1");
    let link = format!("<http://{}{path}>; rel=\"edit\"", active.api);
    assert_eq!(here.headers()["link"], link);
}

#[tokio::test]
async fn a_standby_takes_over_from_a_killed_sidecar_which_then_stands_by() {
    let Some(site) = Site::new().await else {
        return;
    };
    let (first, second) = two(&site).await;
    first.signal("-KILL");
    let took = second.becomes("ok", TAKE_OVER).await;
    assert!(second.takes_gateways());
    println!("taken over {took:?} after kill -9");
    drop(first);
    let again = site.start("a");
    again.becomes("standby", STARTED).await;
    assert!(second.takes_gateways() && !again.takes_gateways());
}

/// A stopped process is to the others what a machine without power is: its connections are
/// open and nothing comes over them.
#[tokio::test]
async fn a_standby_takes_over_from_a_silent_sidecar_which_ends_when_it_wakes() {
    let Some(site) = Site::new().await else {
        return;
    };
    let (mut first, second) = two(&site).await;
    first.signal("-STOP");
    let took = second.becomes("ok", TAKE_OVER).await;
    println!("taken over {took:?} after the last heartbeat");
    first.signal("-CONT");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = first.process.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < TAKE_OVER, "the former sidecar goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(status.code(), Some(1));
    assert_eq!(second.health().await.as_deref(), Some("ok"));
}

#[tokio::test]
async fn a_sidecar_with_keys_of_its_own_does_not_join() {
    let Some(site) = Site::new().await else {
        return;
    };
    let first = site.start("a");
    first.becomes("ok", STARTED).await;
    let mut stranger = site.start("b");
    let status = stranger.process.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(first.health().await.as_deref(), Some("ok"));
}
