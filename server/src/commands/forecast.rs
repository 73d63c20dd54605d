//! `tickcast forecast`: forecasts one series, or every series of a long table in parallel.

use std::{io::Write, path::PathBuf, time::Instant};

use clap::{Args, ValueEnum};
use forecast::{
    Answer, Calibration, CalibrationOptions, FitOptions, Forecast, ForecastModel, History, Level,
    ModelRef, Point, ServedState, Summary,
};
use rayon::prelude::*;

use super::{
    progress,
    reading::ReadingArgs,
    season,
    series_input::{self, from_one},
};
use crate::{
    config::DeviceChoice,
    error::{CommandError, Result},
    terminal,
    wiring::{devices, models},
};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For reading.
    Table,
    /// One object, or an array of them with --id.
    Json,
    /// One row per series and step.
    Csv,
}

/// What a point forecast is after logarithms are undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PointOf {
    /// As likely above as below; exp of the forecast on logarithms.
    Median,
    /// The expected value: above the median by half the variance.
    Mean,
}

/// Arguments.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// A file of any kind that import reads, or a plain list of numbers; - reads standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of the values [default: the close, y, value or price]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Column that tells series apart in a long table
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// naive, drift, snaive, mean, ets, theta, arima(p,d,q), `arima(p,d,q)(P,D,Q)[m]`, with +mean or
    /// +drift behind it, auto-arima, garch, combo; or a trained one: lstm:DIR, patchtst:DIR, nlinear:DIR;
    /// or Fracast-0: fracast:DIR
    #[arg(long, value_name = "MODEL", value_parser = models::reference)]
    model: ModelRef,
    /// Season in steps, for seasonal models [default: that of the interval at which the times lie, as on
    /// the pages: 5 of days; 1 without times]
    #[arg(long, value_name = "M", value_parser = from_one, allow_negative_numbers = true)]
    season: Option<usize>,
    /// Steps to forecast
    #[arg(long, value_name = "H", value_parser = from_one, allow_negative_numbers = true)]
    horizon: usize,
    /// Level of a prediction interval in percent; may be given again
    #[arg(long = "level", value_name = "PERCENT", default_values_t = [80.0, 95.0])]
    levels: Vec<f64>,
    /// How prediction intervals are calibrated on past outcomes: none (the model's own), split or adaptive
    #[arg(long, value_name = "METHOD", default_value_t = Calibration::Adaptive)]
    calibration: Calibration,
    /// Fit on logarithms; the forecast comes back in the units of the input
    #[arg(long)]
    log: bool,
    /// With --log, what the point forecast (the column `mean`) is of the price
    #[arg(long, value_enum, default_value_t = PointOf::Median, requires = "log")]
    point: PointOf,
    /// Column of the volume, for a trained model that reads it
    #[arg(long, value_name = "NAME", default_value = "volume")]
    volume_column: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where a trained model runs: cpu, or a backend of burn: flex, ndarray, wgpu (see `tickcast devices`)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// The latest values of a series, whose step its forecast is written in.
const STEP_VALUES: usize = 800;

struct Outcome {
    id: String,
    /// Of the step of its values.
    decimals: usize,
    forecast: Forecast,
    summary: Summary,
    seconds: f64,
}

impl Outcome {
    fn answer(&self, named: bool) -> Answer<'_> {
        Answer {
            id: named.then_some(self.id.as_str()),
            summary: &self.summary,
            forecast: &self.forecast,
            seconds: self.seconds,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The input cannot be read, or no series of it could be forecast.
pub fn run(args: &ForecastArgs) -> Result<()> {
    let series = series_input::read(
        &args.input,
        args.column.as_deref(),
        args.id.as_deref(),
        &args.reading,
    )?;
    let levels = Level::ascending(&args.levels)?;
    let options = FitOptions {
        log: args.log,
        point: match args.point {
            PointOf::Median => Point::Median,
            PointOf::Mean => Point::Mean,
        },
        ..FitOptions::default()
    };
    season::note(args.season, &series);
    let device = devices::open(args.device, terminal::complain)?;
    let model = models::providers(device.as_ref()).resolve(&args.model)?;
    if let Some(season) = args.season {
        note_season(&*model, season);
    }

    let wanted = reads_volume(&*model);
    let from = (&*args.input, &*args.volume_column, args.id.as_deref());
    let volumes = series_input::volumes(wanted, from, &args.reading, &series);

    let bar = progress::bar(series.len() as u64, "series");
    let outcomes: Vec<Result<Outcome>> = series
        .par_iter()
        .zip(&volumes)
        .map(|(s, volumes)| {
            let started = Instant::now();
            let options = FitOptions {
                season: season::of(args.season, s),
                ..options.clone()
            };
            let times_ms = series_input::times_ms(s);
            let history = History::from(&s.values)
                .with_times(times_ms.as_deref())
                .with_volumes(volumes.as_deref());
            let calibration = CalibrationOptions::new(args.calibration, args.horizon);
            let state = ServedState::fit(&*model, &history, &options, &calibration)?;
            let forecast = state.forecast(args.horizon, &levels)?.forecast;
            let summary = state.fitted().summary();
            bar.inc(1);
            let latest = &s.values[s.values.len().saturating_sub(STEP_VALUES)..];
            Ok(Outcome {
                id: s.id.clone(),
                decimals: chart::price_decimals(latest.iter().copied()) as usize,
                forecast,
                summary,
                seconds: started.elapsed().as_secs_f64(),
            })
        })
        .collect();
    bar.finish_and_clear();

    let mut good = Vec::with_capacity(outcomes.len());
    let mut failed = 0;
    for (s, outcome) in series.iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => good.push(outcome),
            Err(e) if args.id.is_none() => return Err(e),
            Err(e) => {
                failed += 1;
                terminal::complain(format_args!("series {:?}: {e}", s.id));
            }
        }
    }
    let mut out = terminal::stdout();
    match args.format {
        Format::Json => write_json(&mut out, &good, args.id.is_some())?,
        Format::Csv => write_csv(&mut out, &good, &levels, args.id.as_deref())?,
        Format::Table => write_table(&mut out, &good, &levels, args.id.is_some())?,
    }
    if failed > 0 {
        let detail = format!("{failed} of {} series could not be forecast", series.len());
        return Err(CommandError::Partial { detail });
    }
    Ok(())
}

/// Whether a model was trained with volumes.
pub fn reads_volume(model: &dyn ForecastModel) -> bool {
    let needs = model.needs(&FitOptions::default());
    needs.covariates.iter().any(|name| name == "volume")
}

/// Says on standard error when a season that was asked for is longer than a model takes.
pub fn note_season(model: &dyn ForecastModel, season: usize) {
    let longest = model.needs(&FitOptions::default()).longest_season;
    if let Some(longest) = longest.filter(|longest| season > *longest) {
        eprintln!(
            "tickcast: {} smooths seasons of at most {longest} steps: exponential smoothing goes without that \
             of {season}",
            model.name()
        );
    }
}

fn write_json(out: &mut impl Write, outcomes: &[Outcome], many: bool) -> Result<()> {
    let mut answers: Vec<Answer> = outcomes.iter().map(|o| o.answer(many)).collect();
    match (many, answers.pop()) {
        (false, Some(only)) => {
            serde_json::to_writer(&mut *out, &only).map_err(std::io::Error::from)?
        }
        (_, last) => {
            answers.extend(last);
            serde_json::to_writer(&mut *out, &answers).map_err(std::io::Error::from)?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// The header of one row per series and step: id, step, mean, then lo and hi of each level.
fn header(levels: &[Level], many: bool) -> Vec<String> {
    let mut names: Vec<String> = if many { vec!["id".into()] } else { Vec::new() };
    names.extend(["step".to_owned(), "mean".to_owned()]);
    for level in levels {
        names.push(format!("lo-{level}"));
        names.push(format!("hi-{level}"));
    }
    names
}

fn rows(o: &Outcome) -> impl Iterator<Item = (usize, Vec<f64>)> {
    (0..o.forecast.mean.len()).map(|h| {
        let bounds = o
            .forecast
            .intervals
            .iter()
            .flat_map(|b| [b.lower[h], b.upper[h]]);
        (
            h + 1,
            std::iter::once(o.forecast.mean[h]).chain(bounds).collect(),
        )
    })
}

fn write_csv(
    out: &mut impl Write,
    outcomes: &[Outcome],
    levels: &[Level],
    id: Option<&str>,
) -> Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(header(levels, id.is_some()))
        .map_err(std::io::Error::from)?;
    for o in outcomes {
        for (step, numbers) in rows(o) {
            let id = id.map(|_| o.id.clone());
            let numbers = numbers.iter().map(ToString::to_string);
            csv.write_record(id.into_iter().chain([step.to_string()]).chain(numbers))
                .map_err(std::io::Error::from)?;
        }
    }
    csv.flush()?;
    Ok(())
}

fn write_table(
    out: &mut impl Write,
    outcomes: &[Outcome],
    levels: &[Level],
    many: bool,
) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(header(levels, many));
    for o in outcomes {
        for (step, numbers) in rows(o) {
            let id = many.then(|| terminal::line(&o.id));
            let numbers = numbers.iter().map(|x| format!("{x:.*}", o.decimals));
            table.add_row(id.into_iter().chain([step.to_string()]).chain(numbers));
        }
    }
    for column in table.column_iter_mut().skip(usize::from(many)) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    if let [only] = outcomes {
        let s = &only.summary;
        let params: Vec<String> = s
            .params
            .iter()
            .map(|p| format!("{} {}", p.name, progress::number(p.value)))
            .collect();
        writeln!(
            out,
            "{} on {} observations{}{}",
            s.model,
            s.observations,
            if params.is_empty() { "" } else { ": " },
            params.join(", ")
        )?;
        let criteria: Vec<String> = [
            ("sigma²", s.sigma2),
            ("log-likelihood", s.loglik),
            ("AICc", s.aicc),
        ]
        .into_iter()
        .filter_map(|(name, x)| x.map(|x| format!("{name} {}", progress::number(x))))
        .collect();
        if !criteria.is_empty() {
            writeln!(out, "{}", criteria.join(", "))?;
        }
    }
    Ok(())
}
