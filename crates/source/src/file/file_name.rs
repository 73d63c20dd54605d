//! The symbol that the name of a file says.
//!
//! Model: the name up to its first dot, and of that the part before what tools put behind the symbol: the
//! interval or the kind of rows (`BTC_USDT-5m-futures.feather` of freqtrade, `BTCUSDT-1m-2026-01.csv` and
//! `BTCUSDT-trades-2026-01-02.zip` of Binance).
//!
//! What it does not do: names that have the symbol elsewhere (`--symbol` names it).

/// Kinds of rows.
const KINDS: [&str; 4] = ["trades", "aggTrades", "klines", "ohlcv"];

/// The part of a file's name that may be a symbol.
pub fn symbol_of(name: &str) -> &str {
    let stem = name.split('.').next().unwrap_or(name);
    let cut = stem.match_indices('-').map(|(at, _)| at).find(|at| {
        let next = stem[at + 1..].split('-').next().unwrap_or_default();
        is_interval(next) || KINDS.contains(&next)
    });
    match cut {
        Some(at) if at > 0 => &stem[..at],
        _ => stem,
    }
}

/// `5m`, `1h`, `1d`, `1mo`.
fn is_interval(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "s" | "m" | "h" | "d" | "w" | "M" | "mo" | "y")
}

#[cfg(test)]
mod tests {
    use super::symbol_of;

    #[test]
    fn what_tools_put_behind_the_symbol_is_not_part_of_it() {
        for (name, symbol) in [
            ("acme.us.csv.gz", "acme"),
            ("BTC_USDT-5m.feather", "BTC_USDT"),
            ("ETH_USDT_USDT-1h-futures.parquet", "ETH_USDT_USDT"),
            ("BTCUSDT-1m-2026-01.csv", "BTCUSDT"),
            ("BTCUSDT-trades-2026-01-02.zip", "BTCUSDT"),
            ("BTC_USDT-trades.json", "BTC_USDT"),
            ("BTC-USD.csv", "BTC-USD"),
            ("BRK-B-1d.csv", "BRK-B"),
            ("-1m.csv", "-1m"),
            ("", ""),
        ] {
            assert_eq!(symbol_of(name), symbol, "{name}");
        }
    }
}
