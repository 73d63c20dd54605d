//! `tickcast audit`: what was done that cannot be undone, from the data directory, or from a running
//! server with --url.

use std::io::Write as _;

use clap::Args;
use comfy_table::{ContentArrangement, Table};

use super::remote::{self, Remote};
use crate::{
    access::audit::{AuditLog, Entry},
    config::Config,
    error::{CommandError, Result},
    http::audit::{MAX_ENTRIES, Page},
};

/// Arguments.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    remote: Remote,
    /// At most so many, the latest; a server gives 10,000 of them
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON object per line instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// The log cannot be read; the server cannot be reached, or refuses.
pub async fn run(args: &AuditArgs, config: &Config) -> Result<()> {
    let page = match args.remote.at("/api/audit") {
        Some(url) => {
            let request = args.remote.get(&url)?;
            let limit = args.limit.clamp(1, MAX_ENTRIES).to_string();
            remote::answer(&url, request.query(&[("limit", limit)])).await?
        }
        None => read(config, args.limit)?,
    };
    let mut out = crate::terminal::stdout();
    if args.json {
        for entry in &page.entries {
            let line = serde_json::to_string(entry).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
    } else if page.entries.is_empty() {
        writeln!(out, "nothing has been done")?;
    } else {
        writeln!(out, "{}", table(&page.entries))?;
    }
    if page.unreadable > 0 {
        eprintln!("{} lines could not be read", page.unreadable);
    }
    Ok(())
}

fn read(config: &Config, limit: usize) -> Result<Page> {
    let log = AuditLog::in_folder(&config.web.access_dir);
    let (entries, unreadable) = log.latest(limit).map_err(|source| CommandError::File {
        path: log.path().to_owned(),
        source,
    })?;
    Ok(Page {
        entries,
        unreadable,
    })
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["at", "act", "who", "from", "what"]);
    for entry in entries {
        table.add_row([
            entry.at.clone(),
            entry.act.as_str().to_owned(),
            entry.who.to_string(),
            entry.from.map_or_else(String::new, |ip| ip.to_string()),
            // JSON escapes what would move a terminal's cursor.
            entry.what.to_string(),
        ]);
    }
    table
}
