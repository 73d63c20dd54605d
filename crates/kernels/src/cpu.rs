//! Which instruction set the kernels run on, chosen at run time.
//!
//! Model: a [`Cpu`] is proof that this processor has an instruction set (of `fearless_simd`): AVX-512
//! as of Ice Lake and Zen 4, AVX2 with FMA, SSE, NEON, WebAssembly's simd128, or none. The detection
//! is done once and passed along by value. WebAssembly has no detection: what the bundle was compiled
//! with is what runs.
//! Does not: change results beyond rounding. The same seed gives the same bits on the same
//! instruction set, not across them.

use std::fmt;

use fearless_simd::Level;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use fearless_simd::Simd as _;

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(Level);

impl Cpu {
    /// The best there is.
    #[must_use]
    pub fn detect() -> Self {
        Self(without_sse4(Level::new()))
    }

    /// Everything that this processor can run, the best first; the scalar path only with the feature
    /// `scalar` or where there is nothing else.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let best = Self::detect();
        let lesser = best.lesser().into_iter();
        std::iter::once(best)
            .chain(lesser)
            .chain(Self::scalar())
            .collect()
    }

    /// The instruction sets below this one.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    fn lesser(self) -> Vec<Self> {
        let (avx2, sse2) = (self.0.as_avx2(), self.0.as_sse2());
        let avx2 = avx2.map(|token| token.level());
        let sse2 = sse2.map(|token| token.level());
        let below =
            |level: &Level| std::mem::discriminant(level) != std::mem::discriminant(&self.0);
        avx2.into_iter()
            .chain(sse2)
            .filter(below)
            .map(Self)
            .collect()
    }

    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    fn lesser(self) -> Vec<Self> {
        Vec::new()
    }

    #[cfg(feature = "scalar")]
    fn scalar() -> Option<Self> {
        Some(Self(Level::Fallback(fearless_simd::Fallback::new())))
    }

    #[cfg(not(feature = "scalar"))]
    fn scalar() -> Option<Self> {
        None
    }

    /// Name, for logs and the artefact of a trained model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx512(_) => "avx512",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx2(_) => "avx2",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Sse2(_) | Level::Sse4_2(_) => "sse2",
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::WasmSimd128(_) => "simd128",
            _ => "scalar",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// SSE4.2 adds nothing that the kernels use, and a copy of each of them.
fn without_sse4(level: Level) -> Level {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let (Level::Sse4_2(_), Some(token)) = (level, level.as_sse2()) {
        return token.level();
    }
    level
}

/// Evaluates an expression with `$s` as the token of the processor's instruction set, compiled for it.
macro_rules! on_cpu {
    ($cpu:expr, $s:ident => $op:expr) => {
        match $cpu.level() {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx512($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Avx2($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            fearless_simd::Level::Sse2($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            #[cfg(target_arch = "aarch64")]
            fearless_simd::Level::Neon($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            fearless_simd::Level::WasmSimd128($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            #[cfg(any(
                feature = "scalar",
                not(any(
                    all(target_arch = "aarch64", target_feature = "neon"),
                    all(
                        any(target_arch = "x86", target_arch = "x86_64"),
                        target_feature = "sse2",
                        target_feature = "fxsr"
                    ),
                    all(target_arch = "wasm32", target_feature = "simd128")
                ))
            ))]
            fearless_simd::Level::Fallback($s) => $s.vectorize(
                #[inline(always)]
                || $op,
            ),
            other => unreachable!("a Cpu never holds {other:?}"),
        }
    };
}
pub(crate) use on_cpu;
