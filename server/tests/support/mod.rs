//! A real `tickcast` process with a data directory of its own, stopped by process id.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of the harness"
)]

use std::{
    fmt::Debug,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

pub const TICKCAST: &str = env!("CARGO_BIN_EXE_tickcast");

/// `tickcast` with the environment cleared of settings.
pub fn tickcast() -> Command {
    let mut command = Command::new(TICKCAST);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKCAST_")) {
        command.env_remove(name);
    }
    command
}

/// Runs `tickcast` to its end.
pub fn run(arguments: &[&str]) -> Output {
    tickcast()
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// Starts `tickcast serve` on a free port; without a source unless the arguments name one.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = tickcast();
        command
            .arg("serve")
            .args(["--port", "0", "--data-dir"])
            .arg(data_dir);
        if !arguments.contains(&"--source") {
            command.args(["--source", "none"]);
        }
        command.args(arguments);
        Self::spawn(command, data_dir.parent().unwrap())
    }

    /// Starts a command that says where it listens, in a working directory.
    pub fn spawn(mut command: Command, directory: &Path) -> Self {
        let mut child = command
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = child.stderr.take().unwrap();
        let Some(Ok(line)) = lines.next() else {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            panic!("the server did not start: {text}");
        };
        // Both pipes are read on, or a talkative server would block.
        std::thread::spawn(move || lines.for_each(drop));
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        let url = line
            .split_whitespace()
            .find(|w| w.starts_with("http://"))
            .unwrap()
            .to_owned();
        Self { child, url }
    }

    pub fn ws(&self, path: &str) -> String {
        self.url.replace("http://", "ws://") + path
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What a path answers: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = client().get(format!("{}{path}", self.url)).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The state of the pipeline.
    pub async fn pipeline(&self) -> Value {
        let (_, status) = self.get("/api/pipeline").await;
        serde_json::from_str(&status).unwrap()
    }

    /// Waits until a stage has counted so many rows; the state of the pipeline then.
    pub async fn counted(&self, stage: &str, rows: u64) -> Value {
        let enough = |status: &Value| status["stages"][stage]["total"].as_u64() >= Some(rows);
        let what = format!("{rows} rows {stage}");
        until(&what, async || self.pipeline().await, enough).await
    }

    /// The most memory that the process has had so far, in bytes.
    pub fn peak_memory(&self) -> usize {
        self.memory("VmHWM:")
    }

    /// The memory that the process has, in bytes.
    pub fn resident_memory(&self) -> usize {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1_024
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end; returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// Asks until the answer is as wanted, at most for a minute or so; the answer then.
pub async fn until<T: Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let mut answer = ask().await;
    for _ in 0..1_000 {
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = ask().await;
    }
    panic!("{what} never came: {answer:?}");
}

/// A temporary directory and a path in it for the data.
pub fn data_dir() -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    (scratch, data)
}

/// Microseconds since the epoch.
pub fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros() as i64
}
