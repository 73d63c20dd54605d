//! The binary `tickcast`: parses the command line, sets up logging, runs one command, and turns its
//! error into one line and an exit code (2: could not begin, 1: failed on the way).

use std::{io::ErrorKind, process::ExitCode};

use clap::Parser;
use server::{cli::Cli, commands, error::CommandError, file_size, terminal};

/// The C library's allocator keeps what a large body or a burst of requests took; this one gives it back to the
/// system within a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    file_size::catch();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough: `tickcast … | head`.
        Err(CommandError::Output(e)) if e.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            terminal::complain(&e);
            if file_size::was_reached() {
                terminal::complain(file_size::HINT);
            }
            ExitCode::from(e.exit_code())
        }
    }
}
