//! SeaweedFS, a server that speaks S3.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::cloud::{Cloud, cache};

/// Longest wait for its start.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often one may start whose ports somebody else has taken meanwhile.
const STARTS: usize = 5;
const KEY: &str = "sekisho";
const SECRET: &str = "between the mountains";

pub(crate) struct Seaweed {
    s3: SocketAddr,
    filer: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Seaweed {
    pub(crate) async fn start() -> Self {
        for _ in 0..STARTS {
            if let Some(started) = Self::try_start().await {
                return started;
            }
        }
        panic!("SeaweedFS does not start");
    }

    /// `None`: it has ended.
    async fn try_start() -> Option<Self> {
        let program = cache().join("stores/bin/weed");
        assert!(
            program.exists(),
            "{} is missing: run scripts/setup --only stores",
            program.display()
        );
        let folder = tempfile::tempdir().unwrap();
        let identities = json!({"identities": [{
            "name": "sekisho",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }]});
        let config = folder.path().join("s3.json");
        std::fs::write(&config, identities.to_string()).unwrap();
        // All held at once, so that they differ.
        let held: Vec<TcpListener> = (0..8)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let places: Vec<SocketAddr> = held.iter().map(|one| one.local_addr().unwrap()).collect();
        drop(held);
        let names = [
            "s3.port",
            "filer.port",
            "master.port",
            "volume.port",
            "s3.port.grpc",
            "filer.port.grpc",
            "master.port.grpc",
            "volume.port.grpc",
        ];
        let ports = names.iter().zip(&places);
        let mut process = Command::new(program)
            .arg("server")
            .args(ports.map(|(name, place)| format!("-{name}={}", place.port())))
            .arg(format!("-dir={}", folder.path().display()))
            .arg(format!("-s3.config={}", config.display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"])
            .args(["-volume.max=8", "-master.volumeSizeLimitMB=64"])
            .arg("-master.telemetry=false")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let (s3, filer) = (places[0], places[1]);
        let began = Instant::now();
        loop {
            let health = client.get(format!("http://{s3}/healthz")).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(began.elapsed() < PATIENCE, "SeaweedFS is not up in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self {
            s3,
            filer,
            _process: process,
            _folder: folder,
        })
    }
}

impl Cloud for Seaweed {
    const SCHEME: &str = "s3";
    const MISSING: &str = "NoSuchBucket";

    /// A bucket is a folder of its file system.
    async fn make(&self, name: &str) {
        let url = format!("http://{}/buckets/{name}/", self.filer);
        let began = Instant::now();
        loop {
            let made = reqwest::Client::new().post(&url).send().await;
            if made.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no bucket can be made");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.s3);
        let environment = [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "ap-northeast-1"),
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        environment.to_vec()
    }
}
