//! `tickcast schedule next`: when a schedule fires, in UTC, on a reader's clock and on the exchange's.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table};
use market::Timestamp;
use mlops::{
    calendar::{Calendars, Overlay},
    schedule::{Schedule, ScheduleSpec, Upcoming},
};
use pipeline::{Clock as _, SystemClock};

use crate::error::{CommandError, Result};

/// Arguments.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the next times at which a schedule fires
    Next(NextArgs),
}

/// Arguments of `next`.
#[derive(Debug, Args)]
struct NextArgs {
    /// Cron ("0 18 * * MON-FRI", "TZ=Europe/London @daily") or a time around every session of an exchange
    /// ("XNYS close +20m", "30 minutes before the open of every XLON session")
    spec: String,
    /// How many
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    count: u16,
    /// After this time [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Time zone to show times in, and to read a cron pattern in that names none
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// File of closures and hours that the calendars do not have (docs/mlops.md)
    #[arg(long, value_name = "FILE")]
    closures: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What is no schedule, a schedule that never fires, no calendar; a file of closures that cannot be used.
pub fn run(args: &ScheduleArgs) -> Result<()> {
    let Act::Next(args) = &args.act;
    let calendars = match &args.closures {
        None => Calendars::builtin(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| CommandError::File {
                path: path.clone(),
                source,
            })?;
            Calendars::with(Overlay::from_toml(&text)?)?
        }
    };
    let schedule = Schedule::new(ScheduleSpec::read(&args.spec, &args.zone)?, &calendars)?;
    let from = args.from.unwrap_or_else(|| SystemClock.now());
    let upcoming = schedule.upcoming(from, args.count.into(), &args.zone)?;
    let mut out = crate::terminal::stdout();
    if args.json {
        let line = serde_json::to_string(&upcoming).map_err(std::io::Error::other)?;
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{}\n{}", upcoming.text, table(&upcoming))?;
    }
    if let Some(why) = &upcoming.stopped {
        crate::terminal::complain(format_args!(
            "only {} of {}: {why}",
            upcoming.fires.len(),
            args.count
        ));
    }
    Ok(())
}

fn table(upcoming: &Upcoming) -> Table {
    // A clock that another column shows already is left out.
    let local = upcoming.local_zone != "UTC";
    let own = upcoming.schedule_zone != "UTC" && upcoming.schedule_zone != upcoming.local_zone;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let with = |utc: String, here: &str, there: &str, note: &str| {
        let mut row = vec![utc];
        if local {
            row.push(here.to_owned());
        }
        if own {
            row.push(there.to_owned());
        }
        row.push(note.to_owned());
        row
    };
    table.set_header(with(
        "UTC".into(),
        &upcoming.local_zone,
        &upcoming.schedule_zone,
        "",
    ));
    for fire in &upcoming.fires {
        let early = fire.closes_early.unwrap_or(false);
        let note = if early { "closes early" } else { "" };
        table.add_row(with(fire.utc.clone(), &fire.local, &fire.schedule, note));
    }
    table
}
