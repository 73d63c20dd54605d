//! The numbers of a fan as blobs: little-endian, 8 bytes each.

use market::{Band, Fan, Timestamp};

use super::fault::damaged;
use crate::Result;

fn words<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> Vec<u8> {
    numbers.into_iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn numbers(blob: &[u8]) -> Result<Vec<f64>> {
    let (words, rest) = blob.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(damaged("a forecast's numbers are cut off"));
    }
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}

/// The point forecasts.
pub(super) fn mean_blob(fan: &Fan) -> Vec<u8> {
    words(&fan.mean)
}

/// The point forecasts back.
pub(super) fn mean_from(blob: &[u8]) -> Result<Vec<f64>> {
    numbers(blob)
}

/// For each band: level, lower bounds, upper bounds.
pub(super) fn bands_blob(fan: &Fan) -> Vec<u8> {
    words(
        fan.bands
            .iter()
            .flat_map(|b| std::iter::once(&b.level).chain(&b.lower).chain(&b.upper)),
    )
}

/// The bands back, of `steps` steps each.
pub(super) fn bands_from(blob: &[u8], steps: usize) -> Result<Vec<Band>> {
    let numbers = numbers(blob)?;
    let mut bands = Vec::new();
    for band in numbers.chunks(2 * steps + 1) {
        let (Some((level, bounds)), true) = (band.split_first(), band.len() == 2 * steps + 1)
        else {
            return Err(damaged("a forecast's bands are cut off"));
        };
        let (lower, upper) = bounds.split_at(steps);
        bands.push(Band {
            level: *level,
            lower: lower.to_vec(),
            upper: upper.to_vec(),
        });
    }
    Ok(bands)
}

/// The targets; `None` where they are the bars that follow the origin, as they mostly are.
pub(super) fn targets_blob(fan: &Fan) -> Option<Vec<u8>> {
    let regular = (1..)
        .zip(&fan.targets)
        .all(|(step, target)| fan.interval.step_after(fan.origin, step) == *target);
    (!regular).then(|| {
        fan.targets
            .iter()
            .flat_map(|t| t.as_micros().to_le_bytes())
            .collect()
    })
}

/// The targets back, of `steps` steps.
pub(super) fn targets_from(
    blob: Option<&[u8]>,
    interval: market::Interval,
    origin: Timestamp,
    steps: usize,
) -> Result<Vec<Timestamp>> {
    let Some(blob) = blob else {
        return Ok((1..)
            .take(steps)
            .map(|step| interval.step_after(origin, step))
            .collect());
    };
    let (words, rest) = blob.as_chunks::<8>();
    if !rest.is_empty() || words.len() != steps {
        return Err(damaged("a forecast's targets are cut off"));
    }
    Ok(words
        .iter()
        .map(|word| Timestamp::from_micros(i64::from_le_bytes(*word)))
        .collect())
}

#[cfg(test)]
mod tests {
    use market::Interval;

    use super::*;

    fn fan(targets: Vec<Timestamp>) -> Fan {
        let steps = targets.len();
        Fan {
            symbol: "A".parse().unwrap(),
            interval: Interval::D1,
            model: "naive".into(),
            origin: "2013-03-01".parse().unwrap(),
            origin_close: 1.0,
            made_at: Timestamp::from_secs(0),
            targets,
            mean: vec![0.1 + 0.2; steps],
            bands: [80.0, 95.0]
                .map(|level| Band {
                    level,
                    lower: vec![-level; steps],
                    upper: vec![level / 3.0; steps],
                })
                .to_vec(),
        }
    }

    #[test]
    fn a_fan_comes_back_to_the_last_bit() {
        let friday: Timestamp = "2013-03-01".parse().unwrap();
        let regular: Vec<_> = (1..4).map(|s| Interval::D1.step_after(friday, s)).collect();
        let irregular = vec![friday.plus_micros(7), friday.plus_micros(9)];
        for (targets, kept) in [(regular, false), (irregular, true)] {
            let fan = fan(targets);
            let blob = targets_blob(&fan);
            assert_eq!(blob.is_some(), kept);
            let steps = fan.targets.len();
            let targets = targets_from(blob.as_deref(), fan.interval, fan.origin, steps);
            assert_eq!(targets.unwrap(), fan.targets);
            assert_eq!(mean_from(&mean_blob(&fan)).unwrap(), fan.mean);
            assert_eq!(bands_from(&bands_blob(&fan), steps).unwrap(), fan.bands);
        }
    }

    #[test]
    fn blobs_that_are_cut_off_are_refused() {
        let fan = fan(vec![Timestamp::from_secs(1), Timestamp::from_secs(2)]);
        let bands = bands_blob(&fan);
        assert!(bands_from(&bands[..bands.len() - 8], 2).is_err());
        assert!(bands_from(&bands[..bands.len() - 1], 2).is_err());
        assert!(mean_from(&mean_blob(&fan)[..9]).is_err());
        assert!(targets_from(Some(&[0; 8]), fan.interval, fan.origin, 2).is_err());
    }
}
