//! `strace`, which counts calls and makes them fail.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sekisho::clock::Clock;
use tokio::process::{Child, Command};

use crate::ChaosError;

/// What writes and what makes durable.
const CALLS: [&str; 4] = ["write", "pwrite64", "fsync", "fdatasync"];
/// How often it is looked whether a thread is traced by now, and how long between.
const LOOKS: u32 = 400;
const BETWEEN: Duration = Duration::from_millis(5);
const DAY_MILLIS: i64 = 86_400_000;

/// Which error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errno {
    Io,
    NoSpace,
}

impl Errno {
    const fn name(self) -> &'static str {
        match self {
            Self::Io => "EIO",
            Self::NoSpace => "ENOSPC",
        }
    }
}

/// The `nth` of these calls that a thread makes fails.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    pub(super) nth: u64,
    pub(super) error: Errno,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Traced {
    /// The most that one thread made of each call.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// Syncs of the write-ahead log that also write down when it was changed: SQLite was built
    /// without `fdatasync`.
    pub(super) slow_syncs: u64,
    pub(super) injected: Option<Injected>,
}

/// A call that was made to fail.
#[derive(Debug)]
pub(super) struct Injected {
    line: String,
    /// After the process was asked to end.
    ending: bool,
}

impl Injected {
    /// What is wrong with how the process took it.
    pub(super) fn problem(&self, fault: &Fault, end: Option<ExitStatus>) -> Option<String> {
        let Some(end) = end else {
            return Some(format!("it goes on after `{}`", self.line));
        };
        // Room can be made, and what could not be written is written again.
        let room = fault.error == Errno::NoSpace && !fault.call.contains("sync");
        // What is acknowledged is in SQLite's write-ahead log: when the last connection is closed,
        // it may stay there.
        let tidying = self.ending && self.line.contains("sekisho.db>");
        // SQLite does not look whether a folder could be synced; the sidecar does, afterwards.
        let is_record = ["/sekisho.db", "/checkpoints-"];
        let is_record = is_record.iter().any(|file| self.line.contains(file));
        let folder = fault.call.contains("sync") && !is_record && !self.ending;
        let may_go_on = room || tidying || folder;
        let wrong = end.success() && !may_go_on;
        wrong.then(|| {
            format!(
                "it ends as if nothing were wrong ({end}) after `{}`",
                self.line
            )
        })
    }
}

/// How a process is looked at.
pub(super) struct Tracer {
    out: PathBuf,
    arguments: Vec<OsString>,
}

impl Tracer {
    /// Whether calls can be made to fail here; why not is the error's text.
    pub(super) async fn works() -> Result<(), String> {
        let tried = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "inject=fsync:error=EIO",
                "true",
            ])
            .stdin(Stdio::null())
            .output()
            .await;
        let output = tried.map_err(|error| format!("`strace`: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("`strace`: {said}"))
    }

    /// Looks at the files of the record below `folder`.
    pub(super) fn new(folder: &Path, fault: Option<&Fault>) -> Self {
        let out = folder.join("trace");
        let mut arguments: Vec<OsString> = ["-f", "-y", "-qq", "-s", "0", "-o"]
            .into_iter()
            .map(OsString::from)
            .collect();
        arguments.push(out.clone().into());
        arguments.extend(["-e".into(), format!("trace={}", CALLS.join(",")).into()]);
        if let Some(Fault { call, nth, error }) = fault {
            let inject = format!("inject={call}:error={}:when={nth}", error.name());
            arguments.extend(["-e".into(), inject.into()]);
        }
        for file in files(folder) {
            arguments.extend(["-P".into(), file.into()]);
        }
        Self { out, arguments }
    }

    /// What a program's command line begins with, to be looked at from its first call on. The
    /// process is the program's own.
    pub(super) fn command(&self) -> Vec<OsString> {
        let mut command = vec!["strace".into(), "-D".into()];
        command.extend(self.arguments.iter().cloned());
        command
    }

    /// Looks at threads of this name, or at all of them, from now on.
    pub(super) async fn attach(
        &self,
        pid: u32,
        threads: &str,
    ) -> Result<Option<Child>, ChaosError> {
        let mut command = Command::new("strace");
        let mut ids = Vec::new();
        if threads.is_empty() {
            command.args(&self.arguments);
            ids.push(pid);
        } else {
            // Not the threads that these start.
            let arguments = self.arguments.iter().filter(|one| *one != "-f");
            command.args(arguments);
            for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let entry = entry?;
                let name = std::fs::read_to_string(entry.path().join("comm"))?;
                let id: Result<u32, _> = entry.file_name().to_string_lossy().parse();
                ids.extend(id.ok().filter(|_| name.trim() == threads));
            }
        }
        if ids.is_empty() {
            return Ok(None);
        }
        for id in &ids {
            command.args(["-p", &id.to_string()]);
        }
        let tracer = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        for id in ids {
            for _ in 0..LOOKS {
                let status = std::fs::read_to_string(format!("/proc/{pid}/task/{id}/status"));
                if !status.is_ok_and(|status| status.contains("TracerPid:\t0\n")) {
                    break;
                }
                tokio::time::sleep(BETWEEN).await;
            }
        }
        Ok(Some(tracer))
    }

    /// What was seen so far.
    pub(super) fn read(&self) -> Traced {
        let text = std::fs::read(&self.out).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut by_thread: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
        let mut traced = Traced::default();
        let mut ending = false;
        for line in text.lines() {
            // A thread's number comes first, if there are several.
            let (thread, said) = match line.split_once(' ') {
                Some((thread, said)) if thread.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (thread, said.trim_start())
                }
                _ => ("", line),
            };
            ending |= said.starts_with("--- SIGTERM");
            let call = CALLS.into_iter().find(|call| {
                said.strip_prefix(call)
                    .is_some_and(|rest| rest.starts_with('('))
            });
            if call == Some("fsync") && said.contains("/sekisho.db-wal>") {
                traced.slow_syncs += 1;
            }
            if let Some(call) = call {
                let count = by_thread.entry((thread, call)).or_default();
                *count += 1;
                let most = traced.counts.entry(call).or_default();
                *most = (*most).max(*count);
            }
            if said.contains("(INJECTED)") && traced.injected.is_none() {
                traced.injected = Some(Injected {
                    line: said.to_owned(),
                    ending,
                });
            }
        }
        traced
    }
}

/// What holds the record below a folder, and what makes that durable.
fn files(folder: &Path) -> Vec<PathBuf> {
    let state = folder.join("state");
    let checkpoints = state.join("checkpoints");
    let mut files: Vec<PathBuf> = ["sekisho.db", "sekisho.db-wal", "sekisho.db-journal"]
        .into_iter()
        .map(|name| folder.join(name))
        .collect();
    for name in [
        "log-key.new",
        "log-key.pub.new",
        "key-pepper.new",
        "contents-key.new",
    ] {
        files.push(state.join(name));
    }
    let now = i64::try_from(Clock::system().now().0).unwrap_or(0);
    for millis in [now, now.saturating_add(DAY_MILLIS)] {
        if let Ok(day) = jiff::Timestamp::from_millisecond(millis) {
            files.push(checkpoints.join(format!("checkpoints-{}.txt", day.strftime("%Y-%m-%d"))));
        }
    }
    files.extend([folder.to_owned(), state, checkpoints]);
    files
}
