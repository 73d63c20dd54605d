//! Single verdicts: what is decided by which numbers, and what the year's budget does.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/years.rs"]
mod years;

use market::Timestamp;
use mlops::gate::{
    CoverageCount, Decision, ErrorBudget, Evidence, Policy, Reason, Verdict, judge, judge_round,
};
use years::Noise;

/// What makes good evidence bad.
type Spoil = Box<dyn Fn(&mut Evidence)>;

fn bar(i: usize) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + 86_400 * i as i64)
}

fn policy() -> Policy {
    Policy::default()
}

fn budget() -> ErrorBudget {
    ErrorBudget::open("ACME", &policy(), 1, bar(500)).unwrap()
}

/// Losses of naive around 1, of the champion and the candidate lower by so much.
fn evidence(n: usize, champion: f64, candidate: f64) -> Evidence {
    let mut noise = Noise::new(3);
    let mut around =
        |mean: f64| -> Vec<f64> { (0..n).map(|_| mean + 0.5 * noise.normal()).collect() };
    Evidence {
        model: "ACME".into(),
        candidate: "arima(1,1,0)".into(),
        champion: Some("ets".into()),
        origins: (0..n).map(bar).collect(),
        naive_loss: around(1.0),
        champion_loss: around(1.0 - champion),
        candidate_loss: around(1.0 - candidate),
        overlap: 1,
        coverage_95: CoverageCount {
            inside: n as u64 * 95 / 100,
            outcomes: n as u64,
        },
        latency_p99_ms: 3.0,
    }
}

fn verdict(evidence: &Evidence) -> Verdict {
    judge(evidence, &policy(), &budget(), bar(500)).unwrap().0
}

#[test]
fn a_candidate_that_beats_both_is_promoted_and_the_paragraph_says_by_what() {
    let verdict = verdict(&evidence(500, 0.1, 0.4));
    assert_eq!(
        (verdict.decision, verdict.reasons.len()),
        (Decision::Promote, 0)
    );
    let words = &verdict.words;
    assert!(
        words.starts_with("arima(1,1,0) becomes the champion of ACME in the place of ets."),
        "{words}"
    );
    for part in [
        "On the same 500 held-out origins from 2023-11-14 to 2025-03-27",
        "and it is less",
        "95 % of 500 outcomes, within the bounds of 90 % and 99 %",
        "3 ms (99th percentile), within the budget of 100 ms",
        "try 1 of the year",
        "at most 5 % of years",
    ] {
        assert!(words.contains(part), "{part:?} is missing in: {words}");
    }
}

#[test]
fn each_condition_refuses_by_itself() {
    let good = evidence(500, 0.1, 0.4);
    let refusals: [(Reason, Spoil); 6] = [
        (
            Reason::NotBetterThanChampion,
            Box::new(|e| e.champion_loss = e.candidate_loss.iter().map(|l| l - 0.01).collect()),
        ),
        (
            Reason::MissingForecasts,
            Box::new(|e| e.candidate_loss[7] = f64::NAN),
        ),
        (
            Reason::CoverageTooLow,
            Box::new(|e| e.coverage_95.inside = 440),
        ),
        (
            Reason::CoverageTooHigh,
            Box::new(|e| e.coverage_95.inside = 500),
        ),
        (Reason::TooSlow, Box::new(|e| e.latency_p99_ms = 101.0)),
        (
            Reason::CoverageTooLow,
            Box::new(|e| e.coverage_95 = CoverageCount::default()),
        ),
    ];
    for (reason, spoil) in refusals {
        let mut bad = good.clone();
        spoil(&mut bad);
        let verdict = verdict(&bad);
        assert_eq!(verdict.reasons, [reason], "{}", verdict.words);
        assert_eq!(verdict.decision, Decision::KeepChampion);
        assert!(
            verdict
                .words
                .starts_with("ets stays the champion of ACME: the candidate arima(1,1,0) ")
        );
    }
    assert_eq!(
        verdict(&evidence(99, 0.1, 0.9)).reasons,
        [Reason::TooFewOrigins]
    );
}

#[test]
fn better_than_a_bad_champion_is_not_enough() {
    // The champion is far worse than naive, and the candidate as good as naive.
    let mut bad = evidence(500, -0.5, 0.0);
    let verdict = verdict(&bad);
    assert_eq!(verdict.reasons, [Reason::NotBetterThanNaive]);
    assert!(verdict.champion_worse_than_naive);
    assert_eq!(verdict.decision, Decision::ServeNaive);
    assert!(
        verdict
            .words
            .starts_with("Naive is served for ACME from now on: it beats the champion ets"),
        "{}",
        verdict.words
    );
    bad.champion = None;
    bad.champion_loss.clear();
    let verdict = self::verdict(&bad);
    assert_eq!(verdict.decision, Decision::ServeNaive);
    assert_eq!(verdict.against_champion, None);
}

#[test]
fn losses_that_never_differ_promote_nothing() {
    let mut same = evidence(500, 0.0, 0.0);
    same.candidate_loss.clone_from(&same.naive_loss);
    let verdict = verdict(&same);
    assert_eq!(verdict.against_naive.p_value, None);
    assert!(verdict.reasons.contains(&Reason::NotBetterThanNaive));
    assert!(verdict.words.contains("the losses never differ"));
}

#[test]
fn origins_without_an_outcome_are_left_out_for_all() {
    let mut gaps = evidence(500, 0.1, 0.4);
    for i in [3, 70, 499] {
        gaps.naive_loss[i] = f64::NAN;
        gaps.candidate_loss[i] = 1e9;
    }
    let verdict = verdict(&gaps);
    assert_eq!(verdict.origins, 497);
    assert_eq!(verdict.last_origin, Some(bar(498)));
    assert!(verdict.mean_loss.candidate.unwrap() < 1.0);
}

#[test]
fn what_a_gate_asks_for_is_the_boundary_of_the_year() {
    let budget = budget();
    let share = 0.05 * 0.8;
    // Φ⁻¹(1 − 0.02) = 2.0537; at 500 of 752 origins it is divided by √(500/752).
    let bound = 2.053_748_910_631_823 / (500.0_f64 / 752.0).sqrt();
    let level = forecast::distribution::normal_cdf(-bound);
    let verdict = verdict(&evidence(500, 0.1, 0.4));
    assert!((verdict.budget.share - share).abs() < 1e-15);
    assert!((verdict.against_naive.level - level).abs() < 1e-12);
    assert!((verdict.budget.spent - 2.0 * level).abs() < 1e-12);
    // At the year's end all of it may have been spent, and after it nothing is left.
    assert!((budget.spent(share, 752) - share).abs() < 1e-9);
    assert!((budget.level(share, 752) - share / 2.0).abs() < 1e-9);
    assert_eq!(budget.level(share, 753), 0.0);
}

#[test]
fn all_comparisons_of_a_year_together_have_no_more_than_the_bound() {
    let policy = policy();
    let mut budget = ErrorBudget::open("ACME", &policy, 3, bar(500)).unwrap();
    let mut evidence = evidence(500, 0.1, 0.0);
    for i in 0..200 {
        evidence.candidate = format!("candidate {i}");
        budget = judge(&evidence, &policy, &budget, bar(500)).unwrap().1;
    }
    assert_eq!((budget.gates, budget.tries.len()), (200, 200));
    let shares: f64 = budget.tries.iter().map(|pair| pair.share).sum();
    assert!(shares < 0.05 && shares > 0.049, "{shares}");
    assert!((budget.tries[0].share - 0.04 / 3.0).abs() < 1e-12);
    assert!((budget.tries[3].share - 0.01 / 2.0).abs() < 1e-12);
}

#[test]
fn the_same_pair_costs_nothing_anew_unless_its_past_changed() {
    let policy = policy();
    let (_, first) = judge(&evidence(500, 0.1, 0.0), &policy, &budget(), bar(500)).unwrap();
    let mut longer = evidence(500, 0.1, 0.0);
    for (losses, loss) in [
        (&mut longer.candidate_loss, 1.1),
        (&mut longer.champion_loss, 0.9),
        (&mut longer.naive_loss, 1.0),
    ] {
        losses.push(loss);
    }
    longer.origins.push(bar(500));
    let (verdict, second) = judge(&longer, &policy, &first, bar(501)).unwrap();
    assert_eq!(
        (
            verdict.budget.tries_this_year,
            verdict.budget.comparisons_this_year
        ),
        (2, 1)
    );
    assert_eq!(second.tries[0].gates, 2);
    // A loss that was shown already is another one now: that is another candidate under the same name.
    longer.candidate_loss[4] -= 0.5;
    let (verdict, _) = judge(&longer, &policy, &second, bar(502)).unwrap();
    assert_eq!(verdict.budget.comparisons_this_year, 2);
    assert!(verdict.budget.share < 0.01);
}

#[test]
fn evidence_that_does_not_continue_the_year_is_refused_and_spends_nothing() {
    let policy = policy();
    let (_, budget) = judge(&evidence(500, 0.1, 0.0), &policy, &budget(), bar(500)).unwrap();
    let mut later = evidence(500, 0.1, 0.0);
    later.origins = (1..501).map(bar).collect();
    let refused = |evidence: &Evidence, at| {
        judge(evidence, &policy, &budget, at)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&later, bar(501)).contains("begin at 2023-11-14"));
    let good = evidence(500, 0.1, 0.4);
    assert!(refused(&good, bar(900)).contains("the budget's year ended"));
    let spoilt: [(&str, Spoil); 6] = [
        (
            "the budget is that of ACME",
            Box::new(|e| e.model = "OTHER".into()),
        ),
        (
            "499 losses of naive",
            Box::new(|e| e.naive_loss.truncate(499)),
        ),
        (
            "does not come after",
            Box::new(|e| e.origins[3] = e.origins[2]),
        ),
        (
            "infinite",
            Box::new(|e| e.candidate_loss[0] = f64::INFINITY),
        ),
        (
            "more outcomes inside",
            Box::new(|e| e.coverage_95.inside = 501),
        ),
        ("an overlap of 0", Box::new(|e| e.overlap = 0)),
    ];
    for (said, spoil) in spoilt {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(
            refused(&bad, bar(501)).contains(said),
            "{said}: {}",
            refused(&bad, bar(501))
        );
    }
    let policy = Policy {
        reserve: 1.5,
        ..policy.clone()
    };
    assert!(judge(&good, &policy, &budget, bar(501)).is_err());
}

#[test]
fn of_two_that_may_be_promoted_the_better_one_is() {
    let round = [0.3, 0.5, 0.0].map(|lead| Evidence {
        candidate: format!("with {lead}"),
        ..evidence(500, 0.1, lead)
    });
    let (verdicts, after) = judge_round(&round, &policy(), &budget(), bar(500)).unwrap();
    assert_eq!(verdicts[0].decision, Decision::KeepChampion);
    assert_eq!(verdicts[0].reasons, [Reason::BetterCandidate]);
    assert!(verdicts[0].words.contains("is not the best of this round"));
    assert_eq!(verdicts[1].decision, Decision::Promote);
    assert!(!verdicts[2].reasons.contains(&Reason::BetterCandidate));
    assert_eq!((after.promotions, after.gates), (1, 3));
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.budget.promotions_this_year == 1)
    );
    // A round is one comparison of many: the same origins, the same champion, nobody twice.
    for spoil in [
        |e: &mut Evidence| e.champion = Some("other".into()),
        |e: &mut Evidence| e.origins[0] = bar(0).plus_micros(-1),
        |e: &mut Evidence| e.candidate = "with 0.3".into(),
    ] {
        let mut round = round.clone();
        spoil(&mut round[1]);
        assert!(judge_round(&round, &policy(), &budget(), bar(500)).is_err());
    }
}

#[test]
fn a_verdict_and_a_budget_are_kept_as_json() {
    let mut bad = evidence(500, 0.1, 0.4);
    bad.candidate_loss = vec![f64::NAN; 500];
    for evidence in [evidence(500, 0.1, 0.4), bad] {
        let (verdict, budget) = judge(&evidence, &policy(), &budget(), bar(500)).unwrap();
        let json = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
        let json = serde_json::to_string(&budget).unwrap();
        assert_eq!(serde_json::from_str::<ErrorBudget>(&json).unwrap(), budget);
    }
}
