//! The processes of the pipeline and its services, killed by id.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

/// A `tickcast` process that is started again as it was.
pub struct Process {
    arguments: Vec<String>,
    child: Option<Child>,
    /// What it wrote to standard error, over all its lives.
    pub log: Arc<Mutex<String>>,
}

impl Process {
    pub fn new(role: &str, arguments: &[String]) -> Self {
        let mut all = vec![role.to_owned()];
        all.extend_from_slice(arguments);
        Self {
            arguments: all,
            child: None,
            log: Arc::default(),
        }
    }

    /// Starts it; tries again while what it depends on is away, as a supervisor would. Returns the
    /// address that it says it listens on.
    pub fn start(&mut self) -> Option<SocketAddr> {
        for _ in 0..60 {
            if let Some(line) = self.start_once() {
                return line
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix("http://"))
                    .map(|address| address.parse().unwrap());
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        panic!(
            "{:?} does not start: {}",
            self.arguments,
            self.log.lock().unwrap()
        );
    }

    fn start_once(&mut self) -> Option<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TICKCAST_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(&self.arguments)
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            let mut chunk = [0; 4_096];
            while let Ok(n @ 1..) = errors.read(&mut chunk) {
                log.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        match lines.next() {
            Some(Ok(line)) => {
                std::thread::spawn(move || lines.for_each(drop));
                self.child = Some(child);
                Some(line)
            }
            _ => {
                child.wait().unwrap();
                None
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and waits for the end; the exit code and how long it took.
    pub fn stop(&mut self) -> (Option<i32>, std::time::Duration) {
        let mut child = self.child.take().unwrap();
        let began = std::time::Instant::now();
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let code = child.wait().unwrap().code();
        (code, began.elapsed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A broker and a server of MongoDB's protocol of one's own, to be killed at will.
pub struct Services {
    folder: tempfile::TempDir,
    pub brokers: String,
    /// Where the broker sends its clients, and where it listens for who comes from there.
    pub broker_front: SocketAddr,
    pub broker_behind: SocketAddr,
    pub mongo: SocketAddr,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services")
}

impl Services {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let printed = call(folder.path(), "start", &["kafka", "mongo"]);
        let variables: BTreeMap<&str, &str> = printed
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let uri = variables["MONGODB_URI"];
        let host = uri
            .strip_prefix("mongodb://")
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        Self {
            brokers: variables["KAFKA_BROKERS"].to_owned(),
            broker_front: variables["KAFKA_FRONT"].parse().unwrap(),
            broker_behind: variables["KAFKA_BEHIND"].parse().unwrap(),
            mongo: host.parse().unwrap(),
            folder,
        }
    }

    pub fn kill(&self, name: &str) {
        call(self.folder.path(), "kill", &[name]);
    }

    pub fn start_again(&self, name: &str) {
        call(self.folder.path(), "start", &[name]);
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        call(self.folder.path(), "kill", &["kafka", "mongo"]);
    }
}

fn call(folder: &Path, what: &str, names: &[&str]) -> String {
    let output = Command::new(script())
        .arg(what)
        .args(names)
        .arg("--dir")
        .arg(folder)
        // Services of one's own, although a test run has some already.
        .env_remove("KAFKA_BROKERS")
        .env_remove("MONGODB_URI")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "scripts/services {what} {names:?}: {errors}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
