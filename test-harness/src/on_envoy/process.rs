//! Envoy's process.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::client;
use crate::gateway::{GatewayError, Request};

/// Compiling the modules takes a second or two; a busy machine may need much longer.
const MOST_TRIES: u32 = 600;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// The last lines of its log that are shown when it does not start.
const LINES: usize = 12;

/// How much Envoy logs.
#[derive(Clone, Copy, Debug)]
pub struct LogLevels {
    /// Everything, but for what `components` says.
    pub all: &'static str,
    /// `NAME:LEVEL`, with commas between.
    pub components: &'static str,
}

impl Default for LogLevels {
    fn default() -> Self {
        Self {
            all: "warning",
            components: "wasm:debug",
        }
    }
}

/// A running Envoy; it ends when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    log: PathBuf,
    address: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Envoy {
    /// Starts Envoy in a folder. Its ports are free ones.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn start(
        binary: &Path,
        folder: &Path,
        configuration: &str,
        workers: usize,
        levels: LogLevels,
    ) -> Result<Self, GatewayError> {
        if !binary.is_file() {
            return Err(GatewayError::NoEnvoy(binary.to_owned()));
        }
        let (file, admin) = (folder.join("envoy.yaml"), folder.join("admin.txt"));
        let log = folder.join("envoy.log");
        std::fs::write(&file, configuration)?;
        let process = Command::new(binary)
            .arg("--config-path")
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin)
            .arg("--log-path")
            .arg(&log)
            .arg("--concurrency")
            .arg(workers.to_string())
            .args(["--disable-hot-restart", "--log-level", levels.all])
            .args(["--component-log-level", levels.components])
            .args(["--file-flush-interval-msec", "100"])
            // What its AWS request signing needs.
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env(
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            )
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut envoy = Self {
            process,
            log,
            address: ([127, 0, 0, 1], 0).into(),
            admin: None,
        };
        for _ in 0..MOST_TRIES {
            if let Some(status) = envoy.process.try_wait()? {
                let reason = format!("{status}\n{}", envoy.last_lines());
                return Err(GatewayError::EnvoyNotReady(reason));
            }
            if let Some((admin, address)) = listener(&admin).await {
                envoy.admin = Some(admin);
                envoy.address = address;
                return Ok(envoy);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Err(GatewayError::EnvoyNotReady(format!(
            "it listens nowhere\n{}",
            envoy.last_lines()
        )))
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A page of its admin interface.
    pub async fn admin(&self, path: &str) -> Option<Vec<u8>> {
        get(self.admin?, path).await
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn last_lines(&self) -> String {
        let lines = self.log();
        let from = lines.len().saturating_sub(LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _: io::Result<()> = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The addresses of its admin interface and of the listener, once Envoy is ready.
async fn listener(admin: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let admin: SocketAddr = std::fs::read_to_string(admin).ok()?.trim().parse().ok()?;
    let ready = get(admin, "/ready").await?;
    if !ready.starts_with(b"LIVE") {
        return None;
    }
    let listeners: Value =
        serde_json::from_slice(&get(admin, "/listeners?format=json").await?).ok()?;
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = address.get("port_value")?.as_u64()?;
    Some((admin, ([127, 0, 0, 1], u16::try_from(port).ok()?).into()))
}

async fn get(admin: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let request = Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        ..Request::default()
    };
    let answer = client::call(admin, &request).await.ok()?.response?;
    (answer.status == 200).then_some(answer.body)
}
