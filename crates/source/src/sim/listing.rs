//! The companies of the simulated exchange. None of them exists.

/// A listed company.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listing {
    /// Its ticker.
    pub symbol: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The price that its own comes back to over the years.
    pub base_price: f64,
    /// Standard deviation of its daily log return, on average.
    pub daily_volatility: f64,
    /// Its share of the trades, relative to the others'.
    pub weight: u32,
}

const fn listing(
    symbol: &'static str,
    name: &'static str,
    base_price: f64,
    daily_volatility: f64,
    weight: u32,
) -> Listing {
    Listing {
        symbol,
        name,
        base_price,
        daily_volatility,
        weight,
    }
}

/// The dozen, in the order of the exchange.
pub const LISTINGS: [Listing; 12] = [
    listing("NIMBU", "Nimbu Weather Futures", 184.0, 0.016, 18),
    listing("GLOOP", "Gloop Lubricants", 42.5, 0.022, 14),
    listing("WIZZO", "Wizzo Wands and Staves", 317.0, 0.028, 13),
    listing("PLONK", "Plonk Vintners", 23.8, 0.013, 11),
    listing("SNORK", "Snork Submarines", 88.0, 0.031, 10),
    listing("TWANG", "Twang Strings", 61.2, 0.019, 8),
    listing("ZORBL", "Zorbl Dynamics", 540.0, 0.035, 7),
    listing("KRUMB", "Krumb Bakeries", 35.4, 0.011, 6),
    listing("DOODL", "Doodl Pads", 129.0, 0.024, 5),
    listing("BORKA", "Borka Barks and Kennels", 74.6, 0.017, 4),
    listing("FIZZL", "Fizzl Fireworks", 12.9, 0.044, 3),
    listing("YODEL", "Yodel Alpine Telegraph", 98.3, 0.014, 1),
];
