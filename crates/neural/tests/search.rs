//! A search for size, rate and batch: within its budget, the same every time, and resumed where it was stopped.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernels::{Cpu, Random};
use neural::training::{Control, Event, train};
use neural::{ErrorKind, Model, NetworkSpec, Series, artefact};

fn prices(n: usize) -> Vec<f64> {
    let mut random = Random::new(3);
    let mut level = 4.0f64;
    let mut step = || {
        level += f64::from(random.uniform(-0.01, 0.01));
        level.exp()
    };
    (0..n).map(|_| step()).collect()
}

fn searched(checkpoint: Option<&Path>, stop_after: usize) -> (neural::Result<Model>, usize) {
    let y = prices(260);
    let spec: NetworkSpec = "nlinear(window=16,epochs=6,seeds=2,search=20)"
        .parse()
        .unwrap();
    let (cancel, epochs) = (AtomicBool::new(false), AtomicUsize::new(0));
    let progress = |event: &Event| {
        if event.validation_loss.is_some()
            && epochs.fetch_add(1, Ordering::SeqCst) + 1 == stop_after
        {
            cancel.store(true, Ordering::SeqCst);
        }
    };
    let control = Control {
        progress: Some(&progress),
        cancel: Some(&cancel),
        clock: &|| 0.0,
        checkpoint,
    };
    let config = spec.config(2, true).unwrap();
    let options = spec.options(5);
    let trained = train(&config, &[Series::of(&y)], &options, Cpu::detect(), control);
    (trained, epochs.load(Ordering::SeqCst))
}

#[test]
fn a_search_keeps_its_budget_and_goes_on_where_it_was_stopped_to_the_same_bits() {
    let (whole, epochs) = searched(None, 0);
    let whole = whole.unwrap();
    let search = whole.provenance().search.clone().unwrap();
    assert!(search.spent <= 20 && search.budget == 20, "{search:?}");
    assert_eq!(search.trials.len(), 6, "as many as the budget allows");
    let winner = &search.trials[search.winner];
    let losses: Vec<f64> = search.trials.iter().map(|one| one.loss).collect();
    assert!(losses.iter().all(|loss| *loss >= winner.loss), "{search:?}");
    assert_eq!(whole.provenance().epochs.len(), 2, "two seeds");
    let files = artefact::to_files(&whole).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let mut seen = 0;
    // In the first rung, in the last, and in the second network.
    for stop in [3, 8, 5] {
        let (stopped, done) = searched(Some(&checkpoint), stop);
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
        seen += done;
    }
    let (resumed, done) = searched(Some(&checkpoint), 0);
    assert_eq!(seen + done, epochs, "no epoch twice");
    assert_eq!(artefact::to_files(&resumed.unwrap()).unwrap(), files);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "leftovers");
}

#[test]
fn a_budget_that_is_not_enough_says_what_would_be() {
    let spec: NetworkSpec = "nlinear(search=5)".parse().unwrap();
    let y = prices(260);
    let control = Control {
        progress: None,
        cancel: None,
        clock: &|| 0.0,
        checkpoint: None,
    };
    let config = spec.config(2, true).unwrap();
    let refused = train(
        &config,
        &[Series::of(&y)],
        &spec.options(1),
        Cpu::detect(),
        control,
    );
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("search") && words.contains("at least 68"),
        "{words}"
    );
}
