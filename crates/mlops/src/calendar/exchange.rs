//! Which exchanges there are, by market identifier code (ISO 10383).
//!
//! Model: the codes of exchange-hours' cash markets that have a table of holidays. The four that are held to
//! exchange_calendars day by day (tests/calendar.rs) are XNYS, XLON, XETR and XTKS; the others are as good as
//! exchange-hours is.
//! What it does not do: futures and over-the-counter books, whose sessions belong to products.

use exchange_hours::Exchange;

/// Code and exchange, by code.
pub const EXCHANGES: [(&str, Exchange); 24] = [
    ("BVMF", Exchange::B3),
    ("XAMS", Exchange::EuronextAmsterdam),
    ("XASX", Exchange::Asx),
    ("XBRU", Exchange::EuronextBrussels),
    ("XCSE", Exchange::NasdaqCopenhagen),
    ("XETR", Exchange::Xetra),
    ("XHEL", Exchange::NasdaqHelsinki),
    ("XHKG", Exchange::Hkex),
    ("XIST", Exchange::BorsaIstanbul),
    ("XLIS", Exchange::EuronextLisbon),
    ("XLON", Exchange::Lse),
    ("XMAD", Exchange::Bme),
    ("XNAS", Exchange::Nasdaq),
    ("XNSE", Exchange::NseIndia),
    ("XNYS", Exchange::Nyse),
    ("XNZE", Exchange::Nzx),
    ("XPAR", Exchange::EuronextParis),
    ("XSAU", Exchange::Tadawul),
    ("XSES", Exchange::SgxSecurities),
    ("XSHG", Exchange::Sse),
    ("XSTO", Exchange::NasdaqStockholm),
    ("XSWX", Exchange::Six),
    ("XTKS", Exchange::Tse),
    ("XTSE", Exchange::Tsx),
];

/// The exchange of a code, in any case.
pub fn by_code(code: &str) -> Option<(&'static str, Exchange)> {
    EXCHANGES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(code))
        .copied()
}
