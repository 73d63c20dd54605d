//! `tickcast devices`: where trained models can run.

use std::io::Write as _;

use burn_models::{Adapter, Backend};
use kernels::Cpu;

use crate::{error::Result, terminal};

/// Runs the command.
///
/// # Errors
/// Standard output.
pub fn run() -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(["device", "in this build", "what it is"]);
    let cpu = format!(
        "the default: our own kernels, {} ({} cores)",
        Cpu::detect(),
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    table.add_row(["cpu", "yes", &cpu]);
    for backend in Backend::ALL {
        let built = if backend.is_built_in() { "yes" } else { "no" };
        let what = terminal::line(&about(backend));
        table.add_row([backend.name(), built, &what]);
    }
    writeln!(terminal::stdout(), "{table}")?;
    Ok(())
}

fn about(backend: Backend) -> String {
    match (backend, backend.is_built_in()) {
        (Backend::Flex, true) => "burn on this processor".into(),
        (Backend::NdArray, true) => "burn on this processor, its former backend".into(),
        (Backend::Wgpu, true) => graphics(),
        (_, false) => format!("cargo build --release -p server --features {backend}"),
    }
}

fn graphics() -> String {
    match burn_models::adapters() {
        Ok(adapters) if adapters.is_empty() => {
            "no graphics adapter, or no driver for it: the CPU is taken".into()
        }
        Ok(adapters) => adapters.iter().map(named).collect::<Vec<_>>().join("; "),
        Err(e) => e.to_string(),
    }
}

fn named(adapter: &Adapter) -> String {
    let kind = if adapter.is_hardware {
        "GPU"
    } else {
        "software, on the CPU"
    };
    format!("{} ({kind})", adapter.name)
}
