//! Models of every kind, for what must hold for all of them.

/// Their names.
pub const MODELS: [&str; 15] = [
    "naive",
    "drift",
    "snaive",
    "mean",
    "ets",
    "theta",
    "arima(1,1,1)",
    "arima(2,0,1)+mean",
    "arima(1,1,0)+drift",
    "arima(0,2,2)",
    "arima(1,0,1)(1,1,1)[4]",
    "auto-arima",
    "garch",
    "combo",
    "arima(0,0,0)",
];
