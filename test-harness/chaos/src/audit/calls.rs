//! Calls of the operating system that fail, one at a time: each that writes or syncs a file
//! of the record, wherever in a scripted run it comes.

mod tracer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinSet;

use super::evidence::Log;
use super::report::Report;
use super::worker::{self, Acked, Worker};
use super::{Arguments, GIVES_UP};
use crate::sidecars::Sidecar;
use crate::site::Site;
use crate::{ChaosError, Place};
use tracer::{Errno, Fault, Traced, Tracer};

/// Runs at a time.
const AT_ONCE: usize = 3;
/// Rounds of calls in a run.
const ROUNDS: usize = 2;

/// What the folder of a run has at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Begin {
    /// Nothing.
    Empty,
    /// What a sidecar left that was killed.
    Killed,
}

/// When and where calls are made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stage {
    begin: Begin,
    /// From the process's first call on, or of threads of this name once it is ready.
    threads: Option<&'static str>,
}

/// Threads by the names that the operating system shows of them; the last is everybody.
const THREADS: [&str; 4] = ["sekisho-writer", "sekisho-wal", "sqlx-sqlite-wor", ""];

fn stages() -> Vec<Stage> {
    let stage = |begin, threads| Stage { begin, threads };
    let mut stages = vec![stage(Begin::Empty, None), stage(Begin::Killed, None)];
    stages.extend(THREADS.map(|name| stage(Begin::Killed, Some(name))));
    stages
}

/// Where and how one call fails.
#[derive(Clone, Debug)]
struct Position {
    stage: Stage,
    fault: Fault,
}

/// What a run has shown.
struct Shown {
    fired: bool,
    problems: Vec<String>,
    acked: u64,
    lost: u64,
}

pub(super) async fn run(
    arguments: &Arguments,
    site: &Site,
    random: &mut fastrand::Rng,
    report: &mut Report,
) -> Result<(), ChaosError> {
    if let Err(reason) = Tracer::works().await {
        let reason = format!("no call can be made to fail ({reason})");
        println!("SKIPPED: {reason}");
        report.faults_skipped = Some(reason);
        return Ok(());
    }
    let runs = Runs {
        place: arguments.place.clone(),
        killed: site.path("killed"),
        root: site.path("calls"),
    };
    runs.prepare(site).await?;
    let mut positions = runs.positions(site, report).await?;
    let all = positions.len();
    random.shuffle(&mut positions);
    if arguments.faults > 0 {
        positions.truncate(arguments.faults);
    }
    println!(
        "{} of {all} calls of the scripted runs fail",
        positions.len()
    );
    let mut running = JoinSet::new();
    let mut rest = positions.into_iter().enumerate();
    loop {
        while running.len() < AT_ONCE
            && let Some((number, position)) = rest.next()
        {
            let (runs, policy) = (runs.clone(), site.policy_file());
            let seed = random.u64(..);
            running.spawn(async move {
                let shown = match runs.fail(number, &position, &policy, seed).await {
                    Err(error @ ChaosError::Sidecar { .. }) => Ok(Shown {
                        fired: true,
                        problems: vec![error.to_string()],
                        acked: 0,
                        lost: 0,
                    }),
                    shown => shown,
                };
                (position, shown)
            });
        }
        let Some(done) = running.join_next().await else {
            return Ok(());
        };
        let (position, shown) = done.map_err(std::io::Error::other)?;
        let shown = shown?;
        report.faults += u64::from(shown.fired);
        report.counts.acked += shown.acked;
        report.counts.lost += shown.lost;
        report.verified += u64::from(shown.problems.is_empty());
        let problems = shown.problems.into_iter();
        report
            .problems
            .extend(problems.map(|problem| format!("{position:?}: {problem}")));
    }
}

/// Runs of a sidecar on a folder of their own.
#[derive(Clone)]
struct Runs {
    place: Place,
    /// What a killed sidecar left.
    killed: PathBuf,
    root: PathBuf,
}

/// One sidecar, its folder, and what it acknowledged.
struct Run {
    sidecar: Sidecar,
    folder: PathBuf,
    acked: Acked,
}

impl Runs {
    fn begin(&self, folder: PathBuf, policy: &Path) -> Result<Run, ChaosError> {
        std::fs::create_dir_all(&folder)?;
        let database = format!("sqlite:{}", folder.join("sekisho.db").display());
        let log = folder.join("log");
        let state = folder.join("state");
        let sidecar = Sidecar::with(&self.place.sekisho, policy, log, database, state)?;
        Ok(Run {
            sidecar,
            folder,
            acked: Acked::default(),
        })
    }

    /// A log that was written to, and whose writer was killed.
    async fn prepare(&self, site: &Site) -> Result<(), ChaosError> {
        let mut run = self.begin(self.killed.clone(), &site.policy_file())?;
        run.sidecar.start()?;
        run.sidecar.ready().await?;
        run.script(1).await;
        run.sidecar.kill().await
    }

    fn folder(&self, name: &str, begin: Begin) -> Result<PathBuf, ChaosError> {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder)?;
        if begin == Begin::Killed {
            copy(&self.killed, &folder)?;
        }
        Ok(folder)
    }

    /// Every call of every stage, each with each error.
    async fn positions(
        &self,
        site: &Site,
        report: &mut Report,
    ) -> Result<Vec<Position>, ChaosError> {
        let mut positions = Vec::new();
        for (number, stage) in stages().into_iter().enumerate() {
            let folder = self.folder(&format!("count-{number}"), stage.begin)?;
            let mut run = self.begin(folder, &site.policy_file())?;
            let traced = run.go(stage, None, 2).await?;
            if traced.slow_syncs > 0 {
                let problem = "SQLite was built without fdatasync: see .cargo/config.toml";
                report.problems.push(problem.to_owned());
            }
            for (call, count) in traced.counts {
                for error in [Errno::Io, Errno::NoSpace] {
                    positions.extend((1..=count).map(|nth| Position {
                        stage,
                        fault: Fault { call, nth, error },
                    }));
                }
            }
        }
        Ok(positions)
    }

    /// One call fails; then the sidecar starts again.
    async fn fail(
        &self,
        number: usize,
        position: &Position,
        policy: &Path,
        seed: u64,
    ) -> Result<Shown, ChaosError> {
        let folder = self.folder(&number.to_string(), position.stage.begin)?;
        let mut run = self.begin(folder, policy)?;
        let traced = run.go(position.stage, Some(&position.fault), seed).await?;
        let mut problems = Vec::new();
        if let Some(injected) = &traced.injected {
            problems.extend(injected.problem(&position.fault, run.sidecar.status()));
        }
        let fired = traced.injected.is_some();
        let again = run.again().await?;
        let acked = run.acked.all();
        problems.extend(again);
        let lost = if acked.is_empty() {
            0
        } else {
            Log::read(run.sidecar.database()).await?.missing(&acked)
        };
        if problems.is_empty() && lost == 0 {
            std::fs::remove_dir_all(&run.folder)?;
        }
        Ok(Shown {
            fired,
            problems,
            acked: acked.len() as u64,
            lost,
        })
    }
}

impl Run {
    /// The scripted run: starts, takes calls, ends as an administrator would end it.
    async fn go(
        &mut self,
        stage: Stage,
        fault: Option<&Fault>,
        seed: u64,
    ) -> Result<Traced, ChaosError> {
        let tracer = Tracer::new(&self.folder, fault);
        if stage.threads.is_none() {
            self.sidecar.start_under(tracer.command())?;
        } else {
            self.sidecar.start()?;
        }
        if self.sidecar.ready().await?.is_none() {
            let mut attached = None;
            if let (Some(threads), Some(pid)) = (stage.threads, self.sidecar.pid()) {
                attached = tracer.attach(pid, threads).await?;
            }
            self.script(seed).await;
            self.sidecar.signal("-TERM").await?;
            self.sidecar.dead(GIVES_UP).await?;
            if let Some(mut attached) = attached {
                // It ends with what it looks at.
                attached.wait().await?;
            }
        }
        let traced = tracer.read();
        Ok(traced)
    }

    async fn script(&self, seed: u64) {
        let worker = Worker::open(self.sidecar.link, seed, self.acked.clone()).await;
        let Some(mut worker) = worker else {
            return;
        };
        for _ in 0..ROUNDS {
            if worker::round(&mut worker).await.is_none() {
                return;
            }
            // So that there is a checkpoint in between now and then.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is wrong after the next start, if anything is.
    async fn again(&mut self) -> Result<Option<String>, ChaosError> {
        self.sidecar.kill().await?;
        self.sidecar.start()?;
        if let Some(status) = self.sidecar.ready().await? {
            let words = self.sidecar.last_words();
            return Ok(Some(format!("it does not start again ({status}): {words}")));
        }
        let found = self.sidecar.verify().await?;
        self.sidecar.kill().await?;
        Ok(found)
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), ChaosError> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if to.extension().is_some_and(|kind| kind == "reserve") {
            // Made at every start, and large.
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
