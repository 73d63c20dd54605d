//! `tickcast export-model`: a trained model as an ONNX file, for programs that are not Tickcast.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use forecast::ModelRef;
use neural::{Kind, Model, artefact};

use crate::{
    error::{CommandError, Result},
    terminal,
    wiring::models,
};

/// Arguments.
#[derive(Debug, Args)]
pub struct ExportModelArgs {
    /// The trained model: lstm:DIR, patchtst:DIR or nlinear:DIR
    #[arg(long, value_name = "MODEL", value_parser = models::reference)]
    model: ModelRef,
    /// The ONNX file to write; one that is there already is replaced
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The model cannot be read or is none of the trained ones, the file cannot be written.
pub fn run(args: &ExportModelArgs) -> Result<()> {
    let model = load(&args.model)?;
    let file = onnx::export(&model).map_err(|e| CommandError::input(e.to_string()))?;
    write(&args.onnx, &file)
        .map_err(|e| CommandError::input(format!("{}: {e}", args.onnx.display())))?;
    let config = model.config();
    println!(
        "{} for {} steps from the newest {} values, {} bytes, written to {}",
        model.name(),
        config.horizon,
        config.history(),
        file.len(),
        terminal::Plain(args.onnx.display())
    );
    Ok(())
}

fn load(reference: &ModelRef) -> Result<Model> {
    let Some(kind) = reference.scheme().and_then(Kind::from_name) else {
        return Err(CommandError::input(format!(
            "{reference} is not a trained model: name one as lstm:DIR, patchtst:DIR or nlinear:DIR"
        )));
    };
    let model = artefact::load(Path::new(reference.rest()))
        .map_err(|e| CommandError::input(e.to_string()))?;
    let found = model.config().kind;
    if found != kind {
        let directory = reference.rest();
        return Err(CommandError::input(format!(
            "{directory} holds a model of kind {found}: name it {found}:{directory}"
        )));
    }
    Ok(model)
}

/// The whole file under its name, or none.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let aside = path.with_file_name(name);
    fs::write(&aside, bytes)
        .and_then(|()| fs::rename(&aside, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&aside);
        })
}
