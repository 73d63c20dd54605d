//! The Python programs that stand beside: started, waited for, stopped.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

fn variable(name: &str) -> Result<PathBuf> {
    let value = std::env::var_os(name)
        .with_context(|| format!("{name} is not set: use bench/pipeline/run"))?;
    Ok(value.into())
}

/// A port that is free now.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

fn command() -> Result<Command> {
    let mut command = Command::new(variable("BENCH_PYTHON")?);
    command
        .current_dir(variable("BENCH_FOLDER")?)
        .kill_on_drop(true)
        .stdin(Stdio::null());
    Ok(command)
}

/// Starts `original.py` and waits for its line. It is killed when the child is dropped.
pub async fn original(arguments: &[&str]) -> Result<Child> {
    let mut child = command()?
        .arg("original.py")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(out).lines();
    tokio::time::timeout(Duration::from_secs(30), lines.next_line())
        .await??
        .with_context(|| format!("original.py {arguments:?} ended"))?;
    Ok(child)
}

/// Starts the FastAPI application under uvicorn and waits until it listens.
pub async fn fastapi(port: u16, brokers: &str, topic: &str) -> Result<Child> {
    let child = command()?
        .args([
            "-m",
            "uvicorn",
            "fastapi_app:app",
            "--log-level",
            "warning",
            "--port",
        ])
        .arg(port.to_string())
        .env("KAFKA_BROKERS", brokers)
        .env("TOPIC", topic)
        .spawn()?;
    for _ in 0..300 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return Ok(child);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("uvicorn does not listen")
}
