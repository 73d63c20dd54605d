//! A verdict as a paragraph for a person.
//!
//! Model: what was decided, on what it was compared, each test with what it showed and what it had to show, the
//! interval, the latency, and where the year's budget stands.

use super::verdict::{Comparison, Decision, Reason, Verdict};

/// The paragraph.
pub fn tell(verdict: &Verdict) -> String {
    let mut sentences = vec![decided(verdict)];
    sentences.extend(compared(verdict));
    if let Some(test) = &verdict.against_champion {
        sentences.push(tested(&format!("the champion {}", test.against), test));
    }
    sentences.push(tested("naive", &verdict.against_naive));
    sentences.push(covered(verdict));
    let latency = &verdict.latency;
    sentences.push(format!(
        "A forecast takes {} ms (99th percentile), {} the budget of {} ms.",
        number(latency.p99_ms),
        if latency.within {
            "within"
        } else {
            "which is over"
        },
        number(latency.budget_ms)
    ));
    sentences.push(budget(verdict));
    sentences.join(" ")
}

fn decided(verdict: &Verdict) -> String {
    let (candidate, model) = (&verdict.candidate, &verdict.model);
    let champion = verdict.champion.as_deref().unwrap_or("naive");
    let why = || {
        let words: Vec<&str> = verdict
            .reasons
            .iter()
            .map(|reason| because(*reason))
            .collect();
        words.join(", and ")
    };
    match verdict.decision {
        Decision::Promote => {
            format!("{candidate} becomes the champion of {model} in the place of {champion}.")
        }
        Decision::KeepChampion => {
            format!(
                "{champion} stays the champion of {model}: the candidate {candidate} {}.",
                why()
            )
        }
        Decision::ServeNaive if verdict.champion_worse_than_naive => format!(
            "Naive is served for {model} from now on: it beats the champion {champion}, and the candidate \
             {candidate} {}.",
            why()
        ),
        Decision::ServeNaive => {
            format!(
                "Naive is served for {model}: the candidate {candidate} {}.",
                why()
            )
        }
    }
}

const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::TooFewOrigins => "has too few held-out origins to be judged",
        Reason::MissingForecasts => "gave no forecast at some of the origins",
        Reason::NotBetterThanChampion => "has not been shown to be better than the champion",
        Reason::NotBetterThanNaive => "has not been shown to be better than naive",
        Reason::CoverageTooLow => "has a 95 % interval that holds too few outcomes",
        Reason::CoverageTooHigh => "has a 95 % interval that is too wide",
        Reason::TooSlow => "is too slow",
        Reason::BudgetSpent => "comes when this year's error budget is spent",
        Reason::BetterCandidate => "is not the best of this round",
    }
}

fn compared(verdict: &Verdict) -> Option<String> {
    let candidate = verdict.mean_loss.candidate?;
    let (first, last) = (day(verdict.first_origin?), day(verdict.last_origin?));
    let champion = verdict.mean_loss.champion.map_or_else(String::new, |loss| {
        format!(", the champion's {}", number(loss))
    });
    Some(format!(
        "On the same {} held-out origins from {first} to {last} its mean loss is {}{champion}, naive's {}.",
        verdict.origins,
        number(candidate),
        number(verdict.mean_loss.naive)
    ))
}

fn day(at: market::Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn tested(whom: &str, test: &Comparison) -> String {
    let Some(p) = test.p_value else {
        return format!("Against {whom} there is nothing to test: the losses never differ.");
    };
    format!(
        "Against {whom}, a lead like its own would come by chance in {} of cases (Diebold–Mariano {}); this gate \
         asks for less than {}, {}.",
        percent(p),
        number(test.statistic.unwrap_or(0.0)),
        percent(test.level),
        if test.beats {
            "and it is less"
        } else {
            "and it is not"
        }
    )
}

fn covered(verdict: &Verdict) -> String {
    let coverage = &verdict.coverage_95;
    let Some(share) = coverage.share else {
        return "There are no outcomes to judge its 95 % interval by.".to_owned();
    };
    format!(
        "Its 95 % interval held {} of {} outcomes, {} the bounds of {} and {}.",
        percent(share),
        coverage.outcomes,
        if coverage.within { "within" } else { "outside" },
        percent(coverage.least),
        percent(coverage.most)
    )
}

fn budget(verdict: &Verdict) -> String {
    let budget = &verdict.budget;
    format!(
        "This is try {} of the year, and comparison {} of a candidate with a champion; however many there are, at most \
         {} of years may see a promotion that is not deserved, and up to now this comparison can have used {} of its {}.",
        budget.tries_this_year,
        budget.comparisons_this_year,
        percent(budget.false_promotions_a_year),
        percent(budget.spent),
        percent(budget.share)
    )
}

/// A share in percent, with two digits that count.
fn percent(share: f64) -> String {
    format!(
        "{} %",
        digits(100.0 * share, 2.max(whole(100.0 * share) + 1))
    )
}

fn number(value: f64) -> String {
    digits(value, 3.max(whole(value)))
}

/// Digits before the point.
fn whole(value: f64) -> usize {
    let mut n = 0;
    let mut rest = value.abs();
    while rest >= 1.0 && n < 18 {
        rest /= 10.0;
        n += 1;
    }
    n
}

/// A number with so many digits that count, no exponent down to a millionth, and no zeros at the end.
fn digits(value: f64, count: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if value.abs() < 1e-6 {
        return format!("{value:.1e}");
    }
    let mut places = count.saturating_sub(whole(value));
    if value.abs() < 1.0 {
        let mut rest = value.abs();
        places = count - 1;
        while rest < 1.0 {
            rest *= 10.0;
            places += 1;
        }
    }
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_a_person_would() {
        assert_eq!(number(0.012_345), "0.0123");
        assert_eq!(number(123.456), "123");
        assert_eq!(number(-2.5), "-2.5");
        assert_eq!(number(1_234.5), "1234");
        assert_eq!(percent(0.05), "5 %");
        assert_eq!(percent(0.9412), "94.1 %");
        assert_eq!(percent(0.000_123), "0.012 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(number(0.0), "0");
    }
}
