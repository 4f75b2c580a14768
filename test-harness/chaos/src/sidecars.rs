//! Sidecars as processes, which can be killed.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
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
    /// How the last life ended.
    ended: Option<ExitStatus>,
}

impl Sidecar {
    fn new(place: &Place, site: &Site, name: &str, database: &str) -> Result<Self, ChaosError> {
        let state = site.path(&format!("state-{name}"));
        Self::at(place, site, name, database.to_owned(), state)
    }

    /// One whose state and database are wherever it is said.
    pub(crate) fn at(
        place: &Place,
        site: &Site,
        name: &str,
        database: String,
        state: PathBuf,
    ) -> Result<Self, ChaosError> {
        let log = site.path(&format!("{name}.log"));
        Self::with(&place.sekisho, &site.policy_file(), log, database, state)
    }

    /// One whose every file is wherever it is said.
    pub(crate) fn with(
        program: &Path,
        policy: &Path,
        log: PathBuf,
        database: String,
        state: PathBuf,
    ) -> Result<Self, ChaosError> {
        Ok(Self {
            program: std::path::absolute(program)?,
            policy: policy.to_owned(),
            state,
            log,
            database,
            api: free_port()?,
            link: free_port()?,
            process: None,
            ended: None,
        })
    }

    /// Begins another life.
    pub(crate) fn start(&mut self) -> Result<(), ChaosError> {
        self.start_under(Vec::new())
    }

    /// Begins another life, by this command, of which the program with its arguments is the
    /// rest.
    pub(crate) fn start_under(&mut self, before: Vec<OsString>) -> Result<(), ChaosError> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut words = before.into_iter().chain([self.program.clone().into()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        self.ended = None;
        let process = command
            .args(words)
            .arg("serve")
            .arg("--policy")
            .arg(&self.policy)
            .arg("--state")
            .arg(&self.state)
            .args(["--api", &self.api.to_string()])
            .args(["--link", &self.link.to_string()])
            .args(["--reserve", "4"])
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

    /// Waits until gateways are taken, or this life is over: then its status.
    pub(crate) async fn ready(&mut self) -> Result<Option<ExitStatus>, ChaosError> {
        let began = Instant::now();
        while !self.is_active().await {
            if let Some(process) = &mut self.process
                && let Some(status) = process.try_wait()?
            {
                self.ended = Some(status);
                return Ok(Some(status));
            }
            if began.elapsed() > STARTED {
                return Err(self.late("active"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(None)
    }

    /// Waits until this life is over by itself; `None`: it does not end.
    pub(crate) async fn dead(
        &mut self,
        within: Duration,
    ) -> Result<Option<ExitStatus>, ChaosError> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let ended = tokio::time::timeout(within, process.wait()).await;
        self.ended = ended.ok().transpose()?;
        Ok(self.ended)
    }

    /// How this life ended; `None`: it has not.
    pub(crate) const fn status(&self) -> Option<ExitStatus> {
        self.ended
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    /// Whether `sekisho audit verify` finds nothing; if it does, that.
    pub(crate) async fn verify(&self) -> Result<Option<String>, ChaosError> {
        let output = Command::new(&self.program)
            .args(["audit", "verify", "--checkpoints"])
            .arg(self.state.join("checkpoints"))
            .env("SEKISHO_DB", &self.database)
            .output()
            .await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&said).into_owned()))
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Where its REST API is.
    pub(crate) const fn api(&self) -> SocketAddr {
        self.api
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
            for key in ["log-key.pem", "key-pepper", "contents-key"] {
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
