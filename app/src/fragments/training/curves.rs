//! The losses of a training of networks by epoch, read from the lines of its log:
//! `lstm: network 1 of 3, epoch 4 of 60, step 12 of 700: loss 0.12345, validation 0.12345 (best …`.

use chart::{Drawing as _, ErrorSeries, ErrorsChart, View};
use leptos::prelude::*;
use market::Timestamp;
use store::JobLine;

use crate::{erase::Erase, fragments::parts::panel, scene};

/// The sizes of the drawing in CSS pixels.
const WIDE: (u32, u32) = (scene::WIDE.0, 280);
const NARROW: (u32, u32) = (scene::NARROW.0, 240);

/// Networks that are drawn: the latest. A search has many.
const MOST: usize = 6;

/// The losses of one network.
#[derive(Debug, PartialEq)]
pub struct Curve {
    /// Whose.
    name: String,
    /// By epoch.
    losses: Vec<(Timestamp, f64)>,
    /// The same on what it was not trained on.
    validation: Vec<(Timestamp, f64)>,
}

/// The curves of a log; none where nothing in it tells of an epoch.
pub fn curves(lines: &[JobLine]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (name, epoch, loss, validation) in lines.iter().filter_map(|line| read(&line.text)) {
        let at = match curves.iter().position(|curve| curve.name == name) {
            Some(at) => at,
            None => {
                curves.push(Curve {
                    name,
                    losses: Vec::new(),
                    validation: Vec::new(),
                });
                curves.len() - 1
            }
        };
        // An attempt that went on from a checkpoint may tell of an epoch again.
        let (curve, epoch) = (&mut curves[at], Timestamp::from_micros(epoch));
        if curve.losses.last().is_none_or(|(last, _)| *last < epoch) {
            curve.losses.push((epoch, loss));
            curve.validation.push((epoch, validation));
        }
    }
    curves
}

/// Name, epoch, loss, validation loss.
fn read(line: &str) -> Option<(String, i64, f64, f64)> {
    let (name, rest) = line.split_once(": ")?;
    let (of, rest) = rest.split_once("epoch ")?;
    let (epoch, rest) = rest.split_once(" of ")?;
    let number = |key: &str| {
        let rest = rest.split_once(key)?.1;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".-e".contains(c)));
        rest[..end.unwrap_or(rest.len())].parse::<f64>().ok()
    };
    let of = of.trim_end_matches([',', ' ']);
    let name = if of.is_empty() {
        name.to_owned()
    } else {
        format!("{name}, {of}")
    };
    Some((
        name,
        epoch.parse().ok()?,
        number(": loss ")?,
        number("validation ")?,
    ))
}

/// The drawings, one a network.
pub fn view(curves: &[Curve]) -> AnyView {
    if curves.is_empty() {
        return ().erased();
    }
    let earlier = curves.len().saturating_sub(MOST);
    let note = (earlier > 0).then(|| {
        let text = format!("The log has those of {earlier} earlier ones.");
        view! { <p class="note">{text}</p> }
    });
    let drawn: Vec<_> = curves[earlier..]
        .iter()
        .map(|curve| {
            let series = [
                ErrorSeries {
                    model: "training",
                    points: curve.losses.clone(),
                },
                ErrorSeries {
                    model: "validation",
                    points: curve.validation.clone(),
                },
            ];
            let measure = format!("Loss by epoch: {}", curve.name);
            let draw = |(width, height)| {
                let chart = ErrorsChart {
                    measure: &measure,
                    interval: None,
                    series: &series,
                    view: View::sized(width, height),
                };
                // A drawing that cannot be made leaves its place empty; the log has the numbers.
                chart.to_svg().unwrap_or_default()
            };
            view! {
                <figure class="drawing" data-testid="losses">
                    <div class="wide" inner_html=draw(WIDE)></div>
                    <div class="narrow" inner_html=draw(NARROW)></div>
                </figure>
            }
        })
        .collect();
    panel(
        "losses-heading",
        "Losses",
        view! { {drawn} {note} }.erased(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragments::parts::html;

    fn line(text: &str) -> JobLine {
        JobLine {
            number: 1,
            attempt: 1,
            at: Timestamp::from_secs(0),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_losses_of_a_log_become_a_curve_for_each_network_and_an_epoch_counts_once() {
        let lines = [
            "700 closes from 2024-12-27T00:00:00Z to 2026-11-26T00:00:00Z, SHA-256 7be0",
            "lstm: epoch 1 of 60, step 10 of 600: loss 0.50000, validation 0.60000 (best 0.60000), 900 windows/s",
            "lstm: epoch 2 of 60, step 20 of 600: loss 0.40000, validation 0.55000 (best 0.55000), 900 windows/s",
            "lstm: epoch 2 of 60, step 20 of 600: loss 0.40000, validation 0.55000 (best 0.55000), 900 windows/s",
            "nlinear: network 2 of 3, epoch 1 of 9, step 1 of 9: loss 1e-5, validation 2e-5 (best 2e-5), 9 windows/s",
            "theta: MASE 0.9733, skill against naive -0.0073",
        ]
        .map(line);
        let found = curves(&lines);
        let names: Vec<&str> = found.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["lstm", "nlinear, network 2 of 3"]);
        let at = |n| Timestamp::from_micros(n);
        assert_eq!(found[0].losses, [(at(1), 0.5), (at(2), 0.4)]);
        assert_eq!(found[0].validation, [(at(1), 0.6), (at(2), 0.55)]);
        assert_eq!(found[1].losses, [(at(1), 1e-5)]);
        let drawn = html(view(&found));
        assert_eq!(drawn.matches("<svg").count(), 4);
        assert!(drawn.contains("Loss by epoch: lstm"), "{drawn}");
        assert_eq!(html(view(&curves(&lines[..1]))), html(().erased()));
    }
}
