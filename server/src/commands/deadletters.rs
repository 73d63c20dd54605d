//! `tickcast deadletters`: the rows that could not be used, from the data directory, or from a
//! running server with --url.

use std::io::Write as _;

use clap::{Args, Subcommand};
use market::RejectReason;
use pipeline::{Clock as _, SystemClock};
use protocol::{DeadLetterPage, Discarded, Replayed};
use serde_json::json;

use super::remote::{Remote, answer};
use crate::{
    access::{
        Who,
        audit::{Act, AuditLog, of_discard, of_replay},
    },
    config::Config,
    error::{CommandError, Result},
    http::dead_letters::replayed,
    terminal, wiring,
};

/// Letters of one page of the listing.
const PAGE: usize = 1_000;

/// Arguments.
#[derive(Debug, Args)]
pub struct DeadLetterArgs {
    #[command(flatten)]
    remote: Remote,
    /// Only of this reason: unparsable, bad_field, unknown_symbol, bad_price, bad_size,
    /// bad_timestamp, future_timestamp, bad_bar, unknown_version, too_large
    #[arg(long, global = true, value_name = "REASON", value_parser = reason)]
    reason: Option<RejectReason>,
    /// What to do
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do with them.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// List the open ones with reason, origin and row (the default)
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// One JSON object per line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Check them again with today's rules, and store those that are good now
    Replay,
    /// Remove letters for good, of --reason and --source or all: room for new ones of a source that has
    /// its quota
    Discard {
        /// Only of this source, as the list names it
        #[arg(long)]
        source: Option<String>,
        /// Every one, where neither --reason nor --source is given
        #[arg(long)]
        all: bool,
    },
}

fn reason(text: &str) -> std::result::Result<RejectReason, String> {
    RejectReason::ALL
        .into_iter()
        .find(|r| r.as_str() == text)
        .ok_or_else(|| {
            format!(
                "expected one of {}",
                RejectReason::ALL.map(|r| r.as_str()).join(", ")
            )
        })
}

/// Runs the command.
///
/// # Errors
/// The server or the store cannot be reached, or refuses.
pub async fn run(args: &DeadLetterArgs, config: &Config) -> Result<()> {
    let action = args.action.clone().unwrap_or(Action::List {
        limit: 100,
        json: false,
    });
    match action {
        Action::List { limit, json } => {
            let page = match args.remote.at("/api/deadletters") {
                Some(url) => fetch(&args.remote, &url, args.reason, limit).await?,
                None => read(config, args.reason, limit).await?,
            };
            if json {
                print_json(&page)
            } else {
                print_table(&page)
            }
        }
        Action::Replay => {
            let done = match args.remote.at("/api/deadletters/replay") {
                Some(url) => post_replay(&args.remote, &url, args.reason).await?,
                None => replay(config, args.reason).await?,
            };
            let (replayed, still_bad) = (done.replayed, done.still_bad);
            let mut out = terminal::stdout();
            writeln!(out, "{replayed} replayed, {still_bad} still cannot be used")?;
            Ok(())
        }
        Action::Discard { source, all } => {
            if args.reason.is_none() && source.is_none() && !all {
                return Err(CommandError::input(
                    "which dead letters to discard: give --reason, --source, or --all",
                ));
            }
            let source = source.as_deref();
            let discarded = match args.remote.at("/api/deadletters/discard") {
                Some(url) => post_discard(&args.remote, &url, args.reason, source).await?,
                None => discard(config, args.reason, source).await?,
            };
            let mut out = terminal::stdout();
            writeln!(out, "{discarded} discarded")?;
            Ok(())
        }
    }
}

async fn read(
    config: &Config,
    reason: Option<RejectReason>,
    limit: usize,
) -> Result<DeadLetterPage> {
    let store = wiring::open_store(config).await?.dead_letters;
    let counts = store.dead_letter_counts().await?;
    let dropped = store.dropped_dead_letters().await?;
    let mut letters = Vec::new();
    while letters.len() < limit {
        let after = letters.last().map_or(0, |l: &store::DeadLetter| l.id);
        let page = store
            .open_dead_letters(reason, after, PAGE.min(limit - letters.len()))
            .await?;
        if page.is_empty() {
            break;
        }
        letters.extend(page);
    }
    Ok(DeadLetterPage {
        counts,
        dropped,
        letters,
    })
}

/// Replays those of the data directory, and writes down who did.
async fn replay(config: &Config, reason: Option<RejectReason>) -> Result<Replayed> {
    let offline = wiring::Offline::open(config).await?;
    let done = offline.pipeline.replay_dead_letters(reason).await;
    let what = of_replay(reason, &done);
    let who = Who::of_this_process();
    let audit = AuditLog::in_folder(&config.web.access_dir);
    audit.record(SystemClock.now(), Act::Replay, &who, None, what);
    let report = done.map_err(wiring::from_pipeline)?;
    offline.close().await?;
    Ok(replayed(&report))
}

async fn fetch(
    remote: &Remote,
    url: &str,
    reason: Option<RejectReason>,
    limit: usize,
) -> Result<DeadLetterPage> {
    let mut all = DeadLetterPage {
        counts: Vec::new(),
        dropped: Vec::new(),
        letters: Vec::new(),
    };
    loop {
        let after = all.letters.last().map_or(0, |l: &store::DeadLetter| l.id);
        let asked = PAGE.min(limit - all.letters.len()).max(1);
        let mut query = vec![("limit", asked.to_string()), ("after", after.to_string())];
        query.extend(reason.map(|r| ("reason", r.as_str().to_owned())));
        let page: DeadLetterPage = answer(url, remote.get(url)?.query(&query)).await?;
        all.counts = page.counts;
        all.dropped = page.dropped;
        let got = page.letters.len();
        all.letters.extend(page.letters);
        if got == 0 || all.letters.len() >= limit {
            all.letters.truncate(limit);
            return Ok(all);
        }
    }
}

async fn post_replay(remote: &Remote, url: &str, reason: Option<RejectReason>) -> Result<Replayed> {
    let query: Vec<_> = reason.map(|r| ("reason", r.as_str())).into_iter().collect();
    answer(url, remote.post(url)?.query(&query)).await
}

/// Discards those of the data directory, and writes down who did.
async fn discard(
    config: &Config,
    reason: Option<RejectReason>,
    source: Option<&str>,
) -> Result<u64> {
    let offline = wiring::Offline::open(config).await?;
    let done = offline.pipeline.discard_dead_letters(reason, source).await;
    let what = of_discard(reason, source, &done);
    let who = Who::of_this_process();
    let audit = AuditLog::in_folder(&config.web.access_dir);
    audit.record(SystemClock.now(), Act::Discard, &who, None, what);
    let discarded = done.map_err(wiring::from_pipeline)?;
    offline.close().await?;
    Ok(discarded)
}

async fn post_discard(
    remote: &Remote,
    url: &str,
    reason: Option<RejectReason>,
    source: Option<&str>,
) -> Result<u64> {
    let mut query: Vec<_> = reason.map(|r| ("reason", r.as_str())).into_iter().collect();
    query.extend(source.map(|source| ("source", source)));
    let done: Discarded = answer(url, remote.post(url)?.query(&query)).await?;
    Ok(done.discarded)
}

fn print_json(page: &DeadLetterPage) -> Result<()> {
    let mut out = terminal::stdout();
    for letter in &page.letters {
        let line = json!({
            "id": letter.id,
            "at": letter.at.to_string(),
            "reason": letter.reject.reason,
            "detail": letter.reject.detail,
            "origin": letter.reject.origin,
            "payload": letter.reject.payload,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_table(page: &DeadLetterPage) -> Result<()> {
    let mut out = terminal::stdout();
    if page.counts.is_empty() && page.dropped.is_empty() {
        writeln!(out, "no dead letters")?;
        return Ok(());
    }
    let mut counts = comfy_table::Table::new();
    counts.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    counts.set_header(["reason", "open", "replayed"]);
    for c in &page.counts {
        counts.add_row([
            c.reason.to_string(),
            c.open.to_string(),
            c.replayed.to_string(),
        ]);
    }
    writeln!(out, "{counts}")?;
    if !page.dropped.is_empty() {
        writeln!(
            out,
            "counted and not kept, because their source has its quota:"
        )?;
        let mut dropped = comfy_table::Table::new();
        dropped.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
        dropped.set_header(["source", "reason", "not kept"]);
        for d in &page.dropped {
            dropped.add_row([
                terminal::line(&d.source),
                d.reason.to_string(),
                d.dropped.to_string(),
            ]);
        }
        writeln!(out, "{dropped}")?;
    }
    if page.letters.is_empty() {
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["id", "at", "reason", "origin", "detail", "row"]);
    for letter in &page.letters {
        let r = &letter.reject;
        let row: String = r.payload.chars().take(120).collect();
        table.add_row([
            letter.id.to_string(),
            letter.at.to_string(),
            r.reason.to_string(),
            terminal::line(&r.origin),
            terminal::line(&r.detail),
            terminal::line(&row),
        ]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}
