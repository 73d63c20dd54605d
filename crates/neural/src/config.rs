//! What is trained: the kind of network, its size, window, horizon, levels and covariates.
//!
//! Model: three kinds in three sizes; a configuration is serde-able, stands in the artefact, and makes the
//! network. The window is as long as the size says unless it is given.
//! Does not: say how it is trained (see [`crate::training::Options`]).

use kernels::{Architecture, EncoderSize, Growth, Lstm, NLinear, PatchEncoder, QuantileHead};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Long short-term memory.
    Lstm,
    /// Transformer over patches.
    PatchTst,
    /// One linear layer.
    NLinear,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lstm, Self::PatchTst, Self::NLinear];

    /// Name on the command line and in the artefact.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::PatchTst => "patchtst",
            Self::NLinear => "nlinear",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Trained in seconds.
    Small,
    /// The one to begin with.
    #[default]
    Base,
    /// Where there is much data.
    Large,
}

/// What the network sees of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Their logarithms: returns. For prices.
    Log,
    /// They themselves: differences. Where a value may be zero or negative.
    None,
}

/// What is known besides the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Covariate {
    /// The window's scale, as a logarithm, against that of the training data.
    Volatility,
    /// The logarithm of the volume, standardised within the window.
    Volume,
    /// Day of the week and time of day of each step.
    Calendar,
}

impl Covariate {
    /// Name in the artefact and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Volatility => "volatility",
            Self::Volume => "volume",
            Self::Calendar => "calendar",
        }
    }

    /// Numbers per step.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Volatility | Self::Volume => 1,
            Self::Calendar => 4,
        }
    }
}

/// A network to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Kind.
    pub kind: Kind,
    /// Size.
    pub size: Size,
    /// Steps that the network looks back; one value more is read, for the first difference.
    pub window: usize,
    /// Steps ahead.
    pub horizon: usize,
    /// Probabilities of the quantiles, rising.
    pub levels: Vec<f32>,
    /// What it sees of the values.
    pub transform: Transform,
    /// Covariates in use; none but for the LSTM, the others read each series' path alone.
    pub covariates: Vec<Covariate>,
    /// Networks of different seeds whose quantiles are averaged.
    pub ensemble: usize,
}

impl Config {
    /// The usual configuration.
    #[must_use]
    pub fn new(kind: Kind, size: Size, horizon: usize) -> Self {
        let window = match (kind, size) {
            (_, Size::Large) => 128,
            (Kind::NLinear, Size::Small) => 32,
            _ => 64,
        };
        Self {
            kind,
            size,
            window,
            horizon,
            levels: QuantileHead::LEVELS.to_vec(),
            transform: Transform::Log,
            covariates: match kind {
                Kind::Lstm => vec![Covariate::Volatility],
                _ => Vec::new(),
            },
            ensemble: 1,
        }
    }

    /// Numbers per step of the input.
    pub(crate) fn channels(&self) -> usize {
        1 + self.covariates.iter().map(|c| c.width()).sum::<usize>()
    }

    /// Values that a forecast reads.
    #[must_use]
    pub fn history(&self) -> usize {
        self.window + 1
    }

    /// The network.
    ///
    /// # Errors
    /// Sizes that do not fit each other, covariates for a kind that takes none, an ensemble of none or of
    /// more than 32.
    pub fn architecture(&self) -> Result<Architecture> {
        if self.kind != Kind::Lstm && !self.covariates.is_empty() {
            let reason = format!("{} reads each series' path alone", self.kind);
            return Err(Error::argument("covariates", reason));
        }
        if self.ensemble == 0 || self.ensemble > 32 {
            let reason = format!("expected 1 to 32 networks, got {}", self.ensemble);
            return Err(Error::argument("ensemble", reason));
        }
        if self.window < 8 {
            let reason = format!("expected at least 8 steps, got {}", self.window);
            return Err(Error::argument("window", reason));
        }
        let head = QuantileHead::new(self.horizon, &self.levels, Growth::SquareRoot)?;
        Ok(match self.kind {
            Kind::Lstm => {
                let hidden = match self.size {
                    Size::Small => 32,
                    Size::Base => 64,
                    Size::Large => 128,
                };
                Architecture::Lstm(Lstm::new(self.window, self.channels(), hidden, head)?)
            }
            Kind::PatchTst => {
                let size = |width, heads, feed_forward, layers| EncoderSize {
                    patch: 8,
                    width,
                    heads,
                    feed_forward,
                    layers,
                };
                let size = match self.size {
                    Size::Small => size(32, 4, 64, 2),
                    Size::Base => size(64, 4, 128, 2),
                    Size::Large => size(128, 8, 256, 3),
                };
                Architecture::PatchEncoder(PatchEncoder::new(self.window, 1, size, head)?)
            }
            Kind::NLinear => Architecture::NLinear(NLinear::new(self.window, 1, head)?),
        })
    }

    /// The rate of learning that suits the kind.
    #[must_use]
    pub fn rate(&self) -> f32 {
        match self.kind {
            Kind::PatchTst => 5e-4,
            Kind::Lstm | Kind::NLinear => 1e-3,
        }
    }
}
