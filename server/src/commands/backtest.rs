//! `tickcast backtest`: how models would have done from rolling origins, measured against naive.

use std::{io::Write, path::PathBuf, sync::Arc, time::Instant};

use chart::{Drawing as _, ErrorSeries, ErrorsChart, View};
use clap::Args;
use forecast::{
    Calibration, CalibrationOptions, FitOptions, ForecastModel, History, Level, ModelRef, Training,
    backtest::{Backtest, Control, ModelReport, Report, Verdict, Window, overall},
};
use market::{Interval, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    forecast::{Format, note_season, reads_volume},
    progress,
    reading::ReadingArgs,
    season,
    series_input::{self, Series, from_one, from_zero},
};
use crate::{
    config::DeviceChoice,
    error::{CommandError, Result},
    terminal,
    wiring::{devices, models},
};

/// Arguments.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A file of any kind that import reads, or a plain list of numbers; - reads standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of the values [default: the close, y, value or price]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Column that tells series apart in a long table
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// A model, as `tickcast forecast` takes it; may be given again. naive, drift and (with a season)
    /// snaive always run beside
    #[arg(long = "model", value_name = "MODEL", required = true, value_parser = models::reference)]
    models: Vec<ModelRef>,
    /// Season in steps; also scales MASE and RMSSE [default: that of the interval at which the times lie,
    /// as on the pages: 5 of days; 1 without times]
    #[arg(long, value_name = "M", value_parser = from_one, allow_negative_numbers = true)]
    season: Option<usize>,
    /// Steps forecast from each origin
    #[arg(long, value_name = "H", value_parser = from_one, allow_negative_numbers = true)]
    horizon: usize,
    /// Number of origins
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    origins: usize,
    /// Steps between two origins [default: the horizon, so that no outcome counts twice]
    #[arg(long, value_name = "S", value_parser = from_one, allow_negative_numbers = true)]
    step: Option<usize>,
    /// Fit on the last W observations only [default: on all up to the origin]
    #[arg(long, value_name = "W", value_parser = from_one, allow_negative_numbers = true)]
    window: Option<usize>,
    /// Steps between the origin and the first step that is scored
    #[arg(long, value_name = "G", default_value_t = 0, value_parser = from_zero, allow_negative_numbers = true)]
    gap: usize,
    /// Level of a prediction interval in percent; may be given again
    #[arg(long = "level", value_name = "PERCENT", default_values_t = [80.0, 95.0])]
    levels: Vec<f64>,
    /// How prediction intervals are calibrated, inside each fold: none (the model's own), split or adaptive
    #[arg(long, value_name = "METHOD", default_value_t = Calibration::Adaptive)]
    calibration: Calibration,
    /// Fit on logarithms, inside each fold
    #[arg(long)]
    log: bool,
    /// Column of the volume, for trained models that read it
    #[arg(long, value_name = "NAME", default_value = "volume")]
    volume_column: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draws the errors over time into an SVG file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Where a trained model runs: cpu, or a backend of burn: flex, ndarray, wgpu (see `tickcast devices`)
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Runs the command.
///
/// # Errors
/// Input that cannot be read or is too short, a plot that cannot be written.
pub fn run(args: &BacktestArgs) -> Result<()> {
    let series = series_input::read(
        &args.input,
        args.column.as_deref(),
        args.id.as_deref(),
        &args.reading,
    )?;
    let layout = layout(args)?;
    let device = devices::open(args.device, terminal::complain)?;
    let providers = models::providers(device.as_ref());
    let mut models: Vec<Arc<dyn ForecastModel>> = Vec::new();
    for reference in &args.models {
        let model = providers.resolve(reference)?;
        if models.iter().all(|known| known.name() != model.name()) {
            models.push(model);
        }
    }
    season::note(args.season, &series);
    if let Some(season) = args.season {
        models
            .iter()
            .for_each(|model| note_season(&**model, season));
    }

    let wanted = models.iter().any(|model| reads_volume(&**model));
    let from = (&*args.input, &*args.volume_column, args.id.as_deref());
    let volumes = series_input::volumes(wanted, from, &args.reading, &series);
    let started = Instant::now();
    let clock = || started.elapsed().as_secs_f64();
    let bar = progress::bar(0, "fits");
    let mut reports = Vec::with_capacity(series.len());
    let mut tested: Vec<Series> = Vec::with_capacity(series.len());
    let mut failures: Vec<String> = Vec::new();
    for (s, volumes) in series.iter().zip(&volumes) {
        let before = bar.position();
        bar.set_length(before + 1);
        let tick = |done: usize, all: usize| {
            bar.set_length(
                (before + all as u64) * series.len() as u64 / (reports.len() as u64 + 1),
            );
            bar.set_position(before + done as u64);
        };
        let control = Control {
            progress: Some(&tick),
            cancel: None,
            clock: Some(&clock),
        };
        let mut layout = layout.clone();
        layout.options.season = season::of(args.season, s);
        let times_ms = series_input::times_ms(s);
        let history = History::from(&s.values)
            .with_times(times_ms.as_deref())
            .with_volumes(volumes.as_deref());
        match layout.run(history, &models, control) {
            Ok(report) => {
                reports.push(report);
                tested.push(s.clone());
            }
            Err(e) if args.id.is_none() => return Err(CommandError::Forecast(e)),
            // A series that is too short is no reason to keep the others' results back.
            Err(e) => failures.push(format!("series {:?}: {e}", s.id)),
        }
    }
    bar.finish_and_clear();

    if let Some(path) = &args.plot {
        let svg = plot(&tested, &reports)?;
        std::fs::write(path, svg).map_err(|source| CommandError::File {
            path: path.clone(),
            source,
        })?;
    }
    let many = args.id.is_some();
    let mut out = terminal::stdout();
    match args.format {
        Format::Json => write_json(&mut out, &tested, &reports, many)?,
        Format::Csv => write_csv(&mut out, &tested, &reports, many)?,
        Format::Table => write_table(&mut out, &tested, &reports, many)?,
    }
    for model in &models {
        if let Training::Before { until_ms } = model.training() {
            let name = model.name();
            terminal::complain(not_retrained(&name, until_ms, &tested, &reports));
        }
    }
    for failure in &failures {
        terminal::complain(failure);
    }
    let mut useless = 0;
    for (s, report) in tested.iter().zip(&reports) {
        for (row, reason) in failed_everywhere(report) {
            let of = if many {
                format!("series {:?}: ", s.id)
            } else {
                String::new()
            };
            terminal::complain(format_args!(
                "{of}{} failed at every origin: {reason}",
                row.model
            ));
            // A baseline that nobody asked for spoils nothing.
            useless += usize::from(!row.baseline);
        }
    }
    let detail = match (failures.len(), useless) {
        (0, 0) => return Ok(()),
        (0, _) => "not every model could be tested".to_owned(),
        (failed, _) => format!("{failed} of {} series could not be tested", series.len()),
    };
    Err(CommandError::Partial { detail })
}

/// What a trained model's rows mean: it is the same at every origin, and knows what it was trained on.
fn not_retrained(
    name: &str,
    until_ms: Option<i64>,
    tested: &[Series],
    reports: &[Report],
) -> String {
    let Some(until_ms) = until_ms else {
        return format!(
            "{name} is not retrained at the origins, and its training data had no times: whether the \
             outcomes are among them cannot be told"
        );
    };
    let (mut known, mut origins) = (0, 0);
    for (s, report) in tested.iter().zip(reports) {
        let Some(times) = &s.times else { continue };
        let folds = report.models.first().map_or(&[][..], |row| &row.folds);
        for fold in folds {
            origins += 1;
            // The first outcome.
            let first = times.get(fold.origin + report.layout.gap);
            known += usize::from(first.is_some_and(|t| t.as_micros() <= until_ms * 1_000));
        }
    }
    let until = Timestamp::from_micros(until_ms * 1_000);
    if known == 0 && origins > 0 {
        format!(
            "{name} is not retrained at the origins: it was trained until {until}, before all of them"
        )
    } else {
        format!(
            "{name} is not retrained at the origins: it was trained until {until}, and knows the outcomes of \
             {known} of {origins} origins, which flatters it"
        )
    }
}

/// Models that gave no forecast in any fold, with the first reason.
fn failed_everywhere(report: &Report) -> impl Iterator<Item = (&ModelReport, &str)> {
    report.models.iter().filter_map(|row| {
        let first = row.folds.first()?.error.as_deref()?;
        (row.failures == row.folds.len()).then_some((row, first))
    })
}

fn layout(args: &BacktestArgs) -> Result<Backtest> {
    let mut levels = args.levels.clone();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let levels: Vec<Level> = levels
        .into_iter()
        .map(Level::new)
        .collect::<std::result::Result<_, _>>()?;
    Ok(Backtest {
        horizon: args.horizon,
        origins: args.origins,
        step: args.step.unwrap_or(args.horizon),
        gap: args.gap,
        window: args.window.map_or(Window::Expanding, Window::Sliding),
        levels,
        options: FitOptions {
            log: args.log,
            ..FitOptions::default()
        },
        calibration: CalibrationOptions::new(args.calibration, args.gap + args.horizon),
    })
}

/// The columns, in the order of [`cells`].
fn header(reports: &[Report], many: bool) -> Vec<String> {
    let mut names: Vec<String> = if many { vec!["id".into()] } else { Vec::new() };
    names.extend(
        [
            "model", "MASE", "RMSSE", "sMAPE", "pinball", "CRPS", "skill",
        ]
        .map(ToString::to_string),
    );
    for level in reports.first().map_or(&[][..], |r| &r.layout.levels) {
        names.push(format!("cover-{level}"));
        names.push(format!("width-{level}"));
    }
    names.extend(["p-naive", "p-holm", "verdict", "failures", "seconds"].map(ToString::to_string));
    names
}

/// A row's numbers as they are; what could not be measured is empty.
fn cells(row: &ModelReport, write: impl Fn(f64) -> String) -> Vec<String> {
    let m = &row.measures;
    let text = |x: Option<f64>| x.map(&write).unwrap_or_default();
    let mut cells = vec![row.model.clone()];
    cells.extend([m.mase, m.rmsse, m.smape, m.pinball, m.crps, m.skill].map(text));
    for level in &m.levels {
        cells.extend([text(level.coverage), text(level.width)]);
    }
    cells.push(text(row.against_naive.map(|dm| dm.p_value)));
    cells.push(text(row.p_holm));
    cells.push(verdict(row).into());
    cells.push(row.failures.to_string());
    cells.push(text(row.seconds));
    cells
}

/// The id of the rows over all series.
const ALL: &str = "(all)";

/// The rows over all series, where there are several.
fn over_all(reports: &[Report], many: bool) -> Vec<ModelReport> {
    if many && reports.len() > 1 {
        overall(&reports.iter().collect::<Vec<_>>())
    } else {
        Vec::new()
    }
}

/// Every row with its series' id, those over all series last.
fn rows(series: &[Series], reports: &[Report], many: bool) -> Vec<(String, ModelReport)> {
    let each = series
        .iter()
        .zip(reports)
        .flat_map(|(s, report)| report.models.iter().map(|row| (s.id.clone(), row.clone())));
    each.chain(
        over_all(reports, many)
            .into_iter()
            .map(|row| (ALL.to_owned(), row)),
    )
    .collect()
}

fn verdict(row: &ModelReport) -> &'static str {
    match (row.model.as_str(), row.verdict) {
        ("naive", _) => "reference",
        // Nothing was tested: a row over all series, or too few folds.
        _ if row.against_naive.is_none() => "",
        (_, Verdict::Better) => "better",
        (_, Verdict::Worse) => "worse",
        (_, Verdict::Undecided) => "undecided",
    }
}

fn write_json(
    out: &mut impl Write,
    series: &[Series],
    reports: &[Report],
    many: bool,
) -> Result<()> {
    let mut values = Vec::with_capacity(reports.len() + 1);
    let ids = series.iter().map(|s| s.id.as_str());
    let all = reports.first().map(|first| Report {
        layout: first.layout.clone(),
        models: over_all(reports, many),
    });
    let all = all.filter(|report| !report.models.is_empty());
    for (id, report) in ids.zip(reports).chain(all.as_ref().map(|r| (ALL, r))) {
        let mut object = match serde_json::to_value(report) {
            Ok(Value::Object(object)) => object,
            Ok(_) | Err(_) => Map::new(),
        };
        if many {
            object.insert("id".into(), json!(id));
        }
        values.push(Value::Object(object));
    }
    let value = match (many, values.pop()) {
        (false, Some(only)) => only,
        (_, last) => {
            values.extend(last);
            Value::Array(values)
        }
    };
    writeln!(out, "{value}")?;
    Ok(())
}

fn write_csv(
    out: &mut impl Write,
    series: &[Series],
    reports: &[Report],
    many: bool,
) -> Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(header(reports, many))
        .map_err(std::io::Error::from)?;
    for (id, row) in rows(series, reports, many) {
        let id = many.then_some(id);
        let cells = cells(&row, |x| x.to_string());
        csv.write_record(id.into_iter().chain(cells))
            .map_err(std::io::Error::from)?;
    }
    csv.flush()?;
    Ok(())
}

fn write_table(
    out: &mut impl Write,
    series: &[Series],
    reports: &[Report],
    many: bool,
) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(header(reports, many));
    for (id, row) in rows(series, reports, many) {
        let id = many.then_some(id);
        table.add_row(id.into_iter().chain(cells(&row, |x| format!("{x:.4}"))));
    }
    let texts = if many { 2 } else { 1 };
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "{}skill: 1 - MAE / MAE of naive. p-naive: Diebold-Mariano (Harvey-Leybourne-Newbold) of absolute\n\
         errors against naive; p-holm: corrected for the number of models. Verdict at 5 % of p-holm.",
        scaled_by(reports)
    )?;
    Ok(())
}

/// By what MASE and RMSSE are scaled, as a line; nothing where the series differ in it.
fn scaled_by(reports: &[Report]) -> String {
    let mut seasons = reports.iter().map(|report| report.layout.options.season);
    let first = seasons.next();
    match first.filter(|first| seasons.all(|other| other == *first)) {
        Some(1) => "MASE, RMSSE: scaled by naive's errors (no season).\n".into(),
        Some(season) => {
            format!("MASE, RMSSE: scaled by seasonal naive's errors, season {season}.\n")
        }
        None => String::new(),
    }
}

/// The mean absolute error of each fold by origin, a line per model. Of many series the errors are
/// divided by naive's mean first, so that a dear share does not drown the others, and averaged.
fn plot(series: &[Series], reports: &[Report]) -> Result<String> {
    let (Some(first), Some(first_series)) = (reports.first(), series.first()) else {
        return Err(CommandError::input("there is nothing to draw"));
    };
    let single = reports.len() == 1;
    let times = first_series.times.as_deref().filter(|_| single);
    let scale = |report: &Report| {
        if single {
            return 1.0;
        }
        report
            .model("naive")
            .and_then(|m| m.measures.mae)
            .filter(|m| *m > 0.0)
            .unwrap_or(1.0)
    };
    let at = |fold: usize, origin: usize| match times {
        Some(times) => times[origin.saturating_sub(1)],
        None if single => Timestamp::from_micros(origin as i64),
        None => Timestamp::from_micros(fold as i64 + 1),
    };
    let lines: Vec<ErrorSeries<'_>> = first
        .models
        .iter()
        .map(|model| {
            let points = model.folds.iter().enumerate().map(|(n, fold)| {
                let errors = reports
                    .iter()
                    .filter_map(|r| Some(r.model(&model.model)?.folds.get(n)?.mae? / scale(r)));
                let (sum, count) = errors.fold((0.0, 0.0), |(sum, n), e| (sum + e, n + 1.0));
                (at(n, fold.origin), sum / count)
            });
            ErrorSeries {
                model: &model.model,
                points: points.collect(),
            }
        })
        .collect();
    let measure = if single {
        format!("Mean absolute error, {} steps ahead", first.layout.horizon)
    } else {
        format!(
            "Mean absolute error / naive's mean, {} series",
            reports.len()
        )
    };
    let errors = ErrorsChart {
        measure: &measure,
        interval: times.map(spacing),
        series: &lines,
        view: View::sized(1_000, 420),
    };
    errors.to_svg().map_err(|e| CommandError::Internal {
        detail: e.to_string(),
    })
}

/// The longest interval that is no longer than the median time between two observations.
fn spacing(times: &[Timestamp]) -> Interval {
    let mut gaps: Vec<i64> = times.windows(2).map(|w| w[1].micros_since(w[0])).collect();
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
    Interval::ALL
        .into_iter()
        .rev()
        .find(|i| i.micros() <= median)
        .unwrap_or(Interval::S1)
}
