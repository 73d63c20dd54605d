//! The binary `tickcast`: parses the command line, sets up logging, runs one command, and turns its
//! error into one line and an exit code (2: could not begin, 1: failed on the way).

use std::process::ExitCode;

use clap::Parser;
use server::{cli::Cli, commands};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tickcast: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}
