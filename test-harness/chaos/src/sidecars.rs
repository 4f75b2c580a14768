//! Sidecars as processes, which can be killed.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::site::{Site, free_port};
use crate::{ChaosError, Place, StoreKind};

/// A busy machine may need as long.
const STARTED: Duration = Duration::from_secs(30);

/// One sidecar; its address stays the same over all its lives.
pub(crate) struct Sidecar {
    program: PathBuf,
    policy: PathBuf,
    state: PathBuf,
    log: PathBuf,
    database: String,
    api: SocketAddr,
    pub(crate) link: SocketAddr,
    process: Option<Child>,
}

impl Sidecar {
    fn new(place: &Place, site: &Site, name: &str, database: &str) -> Result<Self, ChaosError> {
        Ok(Self {
            program: std::path::absolute(&place.sekisho)?,
            policy: site.path("sekisho.yaml"),
            state: site.path(&format!("state-{name}")),
            log: site.path(&format!("{name}.log")),
            database: database.to_owned(),
            api: free_port()?,
            link: free_port()?,
            process: None,
        })
    }

    /// Begins another life.
    pub(crate) fn start(&mut self) -> Result<(), ChaosError> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let process = Command::new(&self.program)
            .arg("serve")
            .arg("--policy")
            .arg(&self.policy)
            .arg("--state")
            .arg(&self.state)
            .args(["--api", &self.api.to_string()])
            .args(["--link", &self.link.to_string()])
            .env("SEKISHO_DB", &self.database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends this life without warning.
    pub(crate) async fn kill(&mut self) -> Result<(), ChaosError> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// `-STOP`, `-CONT` or `-TERM`.
    pub(crate) async fn signal(&self, name: &str) -> Result<(), ChaosError> {
        let Some(pid) = self.process.as_ref().and_then(Child::id) else {
            return Ok(());
        };
        let pid = pid.to_string();
        Command::new("kill").args([name, &pid]).status().await?;
        Ok(())
    }

    /// Waits for its end, after `-TERM` or when it gives up.
    pub(crate) async fn ended(&mut self) -> Result<(), ChaosError> {
        if let Some(process) = &mut self.process {
            let ended = tokio::time::timeout(STARTED, process.wait()).await;
            ended.map_err(|_| self.late("gone"))??;
            self.process = None;
        }
        Ok(())
    }

    /// Whether gateways are taken; only the active one does.
    pub(crate) async fn is_active(&self) -> bool {
        TcpStream::connect(self.link).await.is_ok()
    }

    async fn answers(&self) -> Result<(), ChaosError> {
        let began = Instant::now();
        while TcpStream::connect(self.api).await.is_err() {
            if began.elapsed() > STARTED {
                return Err(self.late("up"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn late(&self, wanted: &'static str) -> ChaosError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(8).collect();
        last.reverse();
        let log = last.join("\n");
        ChaosError::Sidecar { wanted, log }
    }
}

/// All sidecars of a site.
pub(crate) struct Sidecars {
    pub(crate) all: Vec<Sidecar>,
    database: String,
}

impl Sidecars {
    /// One on SQLite, two on PostgreSQL; returns when all are up.
    pub(crate) async fn start(
        place: &Place,
        site: &Site,
        store: StoreKind,
    ) -> Result<Self, ChaosError> {
        let database = match store {
            StoreKind::Sqlite => format!("sqlite:{}", site.path("sekisho.db").display()),
            StoreKind::Postgres => {
                let url = place.postgres.as_ref().ok_or(ChaosError::NoPostgres)?;
                schema(url, site).await?
            }
        };
        let mut first = Sidecar::new(place, site, "a", &database)?;
        first.start()?;
        first.answers().await?;
        let mut all = vec![first];
        if store == StoreKind::Postgres {
            let mut second = Sidecar::new(place, site, "b", &database)?;
            std::fs::create_dir(&second.state)?;
            for key in ["log-key.pem", "key-pepper"] {
                let from = site.path("state-a").join(key);
                std::fs::copy(from, second.state.join(key))?;
            }
            second.start()?;
            second.answers().await?;
            all.push(second);
        }
        let sidecars = Self { all, database };
        sidecars.active().await?;
        Ok(sidecars)
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The place of the active one, as soon as there is one.
    pub(crate) async fn active(&self) -> Result<usize, ChaosError> {
        let began = Instant::now();
        loop {
            for (at, sidecar) in self.all.iter().enumerate() {
                if sidecar.is_active().await {
                    return Ok(at);
                }
            }
            let late = self.all.first().map(|first| first.late("active"));
            if let (true, Some(late)) = (began.elapsed() > STARTED, late) {
                return Err(late);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends all as an administrator would.
    pub(crate) async fn stop(&mut self) -> Result<(), ChaosError> {
        for sidecar in &mut self.all {
            sidecar.signal("-TERM").await?;
            sidecar.ended().await?;
        }
        Ok(())
    }
}

/// A schema of the run's own.
async fn schema(url: &str, site: &Site) -> Result<String, ChaosError> {
    let name = site.folder().file_name().unwrap_or_default();
    let name: String = name
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let name = name.to_lowercase();
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await?;
    let sql = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(sql).execute(&pool).await?;
    pool.close().await;
    let join = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{join}options=-csearch_path%3D{name}"))
}
