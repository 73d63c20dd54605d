//! A `tickcast` process of our own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running server with a data directory that goes when it does.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// From the start of the process to the line that says it is ready.
    pub ready_after: Duration,
    /// Kept for as long as the server runs.
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts `tickcast serve` on a free port with further arguments.
    ///
    /// # Errors
    /// No binary, or it ends before it is ready.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_as("serve", &[&["--port", "0"], arguments].concat()).await
    }

    /// As [`Self::start`], of another binary than the one that is measured.
    ///
    /// # Errors
    /// As there.
    pub async fn start_binary(path: &Path, arguments: &[&str]) -> Result<Self> {
        Self::spawn(path, "serve", &[&["--port", "0"], arguments].concat()).await
    }

    /// Starts a command of `tickcast` that prints the URL it can be reached at.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_as(command: &str, arguments: &[&str]) -> Result<Self> {
        Self::spawn(&binary()?, command, arguments).await
    }

    async fn spawn(path: &Path, command: &str, arguments: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let started = Instant::now();
        let mut child = Command::new(path)
            .arg(command)
            .arg("--data-dir")
            .arg(directory.path())
            .args(arguments)
            // To the program they would be settings.
            .env_remove("TICKCAST_BIN")
            .env_remove("TICKCAST_BASELINE")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child
            .stdout
            .take()
            .context("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines
            .next_line()
            .await?
            .context("the server ended before it was ready")?;
        let ready_after = started.elapsed();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .with_context(|| format!("no URL in {line:?}"))?
            .to_owned();
        // The pipe must be read on, or a talkative server would block.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            child,
            url,
            ready_after,
            _directory: directory,
        })
    }

    /// Resident memory in MiB.
    ///
    /// # Errors
    /// No such process.
    pub async fn resident_mib(&self) -> Result<f64> {
        self.status_mib("VmRSS:").await
    }

    /// The most that was ever resident, in MiB.
    ///
    /// # Errors
    /// No such process.
    pub async fn most_resident_mib(&self) -> Result<f64> {
        self.status_mib("VmHWM:").await
    }

    /// Seconds of processor time that it has used, in user and kernel mode.
    ///
    /// # Errors
    /// No such process.
    pub async fn cpu_s(&self) -> Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        let stat = tokio::fs::read_to_string(format!("/proc/{pid}/stat")).await?;
        cpu_s(&stat)
    }

    async fn status_mib(&self, field: &str) -> Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        let status = tokio::fs::read_to_string(format!("/proc/{pid}/status")).await?;
        let line = status
            .lines()
            .find(|l| l.starts_with(field))
            .with_context(|| format!("no {field}"))?;
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .context("no number")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// The sum of a counter over its labels, from `/metrics`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn counter(&self, name: &str) -> Result<f64> {
        let text = reqwest::get(format!("{}/metrics", self.url))
            .await?
            .text()
            .await?;
        Ok(text
            .lines()
            .filter(|l| l.starts_with(name) && !l.starts_with('#'))
            .filter(|l| l[name.len()..].starts_with([' ', '{']))
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    /// Sends it a signal, by its name without SIG.
    ///
    /// # Errors
    /// It has ended.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().context("the server has ended")?;
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid.to_string()])
            .status()
            .await?;
        anyhow::ensure!(sent.success(), "SIG{name} cannot be sent");
        Ok(())
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .status()
                .await?;
        }
        if tokio::time::timeout(Duration::from_secs(15), self.child.wait())
            .await
            .is_err()
        {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The processor time of `/proc/PID/stat` (proc(5): fields 14 and 15, in hundredths of a second).
///
/// # Errors
/// Another format.
pub fn cpu_s(stat: &str) -> Result<f64> {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn binary() -> Result<PathBuf> {
    let path = std::env::var_os("TICKCAST_BIN").map(PathBuf::from);
    match path {
        Some(path) if path.is_file() => Ok(path),
        _ => bail!("TICKCAST_BIN does not name the tickcast binary: run make bench"),
    }
}
