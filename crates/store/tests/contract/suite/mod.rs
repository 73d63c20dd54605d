//! What every side of the store must do, written against the ports alone.
//!
//! A side passes by giving a [`StoreUnderTest`] and naming it in [`contract_tests`].

pub mod artefacts;
pub mod bars;
pub mod dead_letters;
pub mod export;
pub mod instruments;
pub mod job_history;
pub mod jobs;
pub mod leases;
pub mod ledger;
pub mod outbox;
pub mod publications;
pub mod registry;
pub mod retention;
pub mod ticks;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use market::{Bar, Interval, Symbol, Tick, Timestamp, bars_from_ticks};
pub use store::Database;
use store::{BarQuery, DeadLetterQuota, PriceReader};

/// Makes places for stores of one side.
#[async_trait]
pub trait StoreUnderTest: Send + Sync {
    /// An empty place, gone when dropped, whose stores keep so many dead letters.
    async fn place(&self, dead_letter_quota: DeadLetterQuota) -> Box<dyn Place>;

    /// Sequences of calls that are tried of each reference model, where nothing else is set.
    fn model_cases(&self) -> u32 {
        8
    }
}

/// Where a store lives.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the store; closes the one that was open.
    async fn open(&mut self) -> Arc<dyn Database>;
}

/// Writes one test per entry of the suite for a side.
macro_rules! contract_tests {
    ($side:expr) => {
        contract_tests!($side; ticks:
            a_tick_is_stored_once_within_a_batch_and_across_batches,
            a_key_that_is_there_keeps_its_first_price,
            positions_grow_and_survive_reopening,
            a_reader_resumes_after_any_position,
            ticks_are_read_by_key_and_the_latest_of_a_range,
            the_latest_tick_has_the_greatest_key_and_the_greatest_position,
            appends_at_the_same_time_store_every_tick_once,
            bars_equal_the_fold_of_all_ticks_in_whatever_order_and_batches_they_came,
            a_late_tick_corrects_its_bars,
            a_bar_is_told_whole_after_reopening_though_older_ticks_came_first,
            ticks_that_cannot_be_kept_are_refused_as_a_whole,
            nothing_is_known_of_a_symbol_without_ticks,
        );
        contract_tests!($side; bars:
            bars_come_back_as_they_were_put,
            a_range_is_half_open_and_a_limit_takes_its_latest_bars,
            a_bar_that_comes_again_replaces_the_one_that_came,
            a_bar_that_came_stays_as_it_is_whatever_ticks_of_it_come,
            a_bar_that_comes_after_its_ticks_counts_as_if_it_had_come_before,
            a_bar_that_came_while_it_went_on_goes_on_with_later_ticks,
            bars_that_come_and_ticks_give_the_same_bars_in_any_order,
            an_import_of_thousands_of_bars_is_whole,
            bars_of_many_queries_come_in_one_call_in_their_order,
            bars_that_cannot_be_kept_are_refused_as_a_whole,
        );
        contract_tests!($side; instruments:
            instruments_tell_the_latest_state_of_each_symbol,
            symbols_are_listed_in_pages_those_with_ticks_first,
            symbols_are_found_by_how_they_begin_then_by_what_they_hold,
            a_quote_has_the_close_before_the_day_of_the_last_price,
            symbols_that_are_asked_for_are_told_of_in_one_call,
        );
        contract_tests!($side; ledger:
            a_forecast_comes_back_as_it_was_made,
            a_forecast_of_the_same_key_stays_as_it_was,
            a_forecast_made_after_its_first_bar_is_refused,
            a_fan_whose_lengths_disagree_is_refused_with_its_batch,
            forecasts_fall_due_when_their_next_bar_has_ended_oldest_first,
            outcomes_count_once,
            the_scoreboard_has_the_numbers_of_the_outcomes,
            the_scoreboard_can_be_narrowed,
            outcomes_that_cannot_be_right_leave_nothing_behind,
            the_ledger_is_read_by_model_range_and_limit,
            ledgers_of_many_series_come_in_one_call_in_their_order,
            the_ledger_survives_reopening,
        );
        contract_tests!($side; export:
            an_export_has_every_tick_once_from_the_oldest_to_the_newest,
            an_export_of_a_range_is_half_open_and_of_bars_of_one_interval,
            an_export_that_was_cut_off_goes_on_where_it_stopped,
            an_export_of_other_rows_does_not_go_on_with_what_was_begun,
        );
        contract_tests!($side; retention:
            old_ticks_are_removed_and_the_rest_stays_readable_in_both_orders,
            the_newest_tick_and_bars_of_a_symbol_stay_whatever_their_age,
            old_bars_of_one_interval_are_removed_and_those_of_others_stay,
            positions_go_on_growing_after_the_newest_stored_tick_was_removed,
            the_ledger_is_not_touched,
            thousands_of_old_rows_are_removed_in_one_call,
            a_late_tick_counts_in_bars_whose_ticks_were_removed,
            a_double_leaves_bars_whose_other_ticks_were_removed_as_they_are,
            a_late_tick_counts_in_longer_bars_after_shorter_ones_were_removed,
            the_newest_tick_is_found_though_its_day_is_older_than_bars_are_kept,
            a_bar_of_several_processes_is_removed_as_a_whole,
        );
        contract_tests!($side; dead_letters:
            dead_letters_come_back_with_reason_origin_and_payload,
            a_letter_of_a_message_that_comes_again_is_kept_once,
            dead_letters_are_listed_in_pages_and_by_reason,
            a_replayed_letter_is_no_longer_open,
            beyond_its_quota_a_source_loses_its_oldest_replayed_letters_and_no_open_one,
            a_source_that_floods_takes_nothing_from_the_others,
            beyond_the_quota_of_all_sources_the_oldest_replayed_letters_make_room,
            what_is_not_kept_is_counted_by_source_and_reason_across_reopening,
            a_letter_that_is_there_does_not_count_as_dropped_when_it_comes_again,
            discarding_makes_room_and_forgets_what_was_dropped,
            sources_without_number_share_the_quota_of_the_others,
            the_letters_of_a_source_are_bounded_in_bytes_and_what_exceeds_them_is_counted,
        );
        contract_tests!($side; jobs:
            a_job_comes_back_as_it_was_submitted,
            jobs_are_taken_by_priority_then_time_then_order,
            a_job_waits_for_its_time_and_for_a_worker_of_its_kind,
            a_key_makes_one_job,
            a_key_with_another_payload_is_a_conflict_and_nothing_of_its_batch_is_kept,
            workers_at_the_same_time_never_get_the_same_job,
            a_failed_attempt_is_tried_again_at_its_time_until_none_is_left,
            an_attempt_is_finished_once,
            a_job_is_cancelled_wherever_it_stands,
        );
        contract_tests!($side; leases:
            a_lease_that_ended_is_taken_again_and_its_holder_can_do_nothing,
            a_lease_that_is_renewed_is_kept_and_one_that_nobody_took_goes_on,
            a_job_that_lost_its_last_lease_fails_with_the_reason,
            a_clock_that_goes_back_makes_no_job_wait_and_takes_none_from_its_worker,
        );
        contract_tests!($side; job_history:
            jobs_are_listed_newest_first_by_kind_and_state_in_pages,
            a_log_has_the_lines_of_all_attempts_and_keeps_the_newest,
            the_history_keeps_the_newest_finished_jobs_of_a_kind,
            what_cannot_be_a_job_is_refused,
            a_queue_that_is_full_refuses_jobs_and_keeps_those_it_has,
        );
        contract_tests!($side; publications:
            a_completion_is_there_with_all_that_it_publishes,
            a_completion_that_cannot_publish_leaves_nothing_behind_and_the_lease_is_held,
            a_worker_that_lost_its_lease_publishes_nothing,
            versions_published_at_the_same_time_get_numbers_of_their_own,
            of_two_who_compare_and_set_an_alias_at_the_same_time_one_does,
            what_cannot_be_published_is_refused,
        );
        contract_tests!($side; registry:
            a_version_comes_back_as_it_was_made,
            who_was_champion_at_a_time_is_told_by_the_history,
            a_clock_that_goes_back_keeps_the_history_in_order,
            versions_are_listed_filtered_and_searched_in_pages,
            an_archived_version_takes_no_alias_and_comes_back,
            models_are_listed_with_their_aliases,
            verdicts_are_kept_and_their_budget_is_summed,
        );
        contract_tests!($side; artefacts:
            a_content_comes_back_under_its_sha256,
            a_content_that_is_put_again_is_one,
            what_is_not_there_is_told_so,
        );
        contract_tests!($side; outbox:
            messages_come_in_their_order_until_they_are_delivered,
            a_message_that_is_to_be_tried_later_holds_up_those_behind_it,
            a_message_that_is_given_up_makes_way_and_is_kept,
            a_topic_is_delivered_by_one_at_a_time,
            a_clock_that_goes_back_makes_no_message_wait,
            a_topic_keeps_its_newest_messages,
        );
        mod model {
            use super::*;
            crate::suite::contract_tests!($side; model / jobs: jobs_are_those_of_the_model);
            crate::suite::contract_tests!($side; model / prices: prices_are_those_of_the_model);
            crate::suite::contract_tests!($side; model / ledger: the_ledger_is_that_of_the_model);
            crate::suite::contract_tests!($side; model / dead_letters: dead_letters_are_those_of_the_model);
            crate::suite::contract_tests!($side; model / retention: what_is_left_is_what_the_model_leaves);
        }
    };
    ($side:expr; $part:ident: $($name:ident),* $(,)?) => {
        contract_tests!($side; suite / $part: $($name),*);
    };
    ($side:expr; $home:ident / $part:ident: $($name:ident),* $(,)?) => {
        mod $part {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$home::$part::$name(&$side).await;
                }
            )*
        }
    };
}
pub(crate) use contract_tests;

/// The number of dead letters kept where a test does not care.
pub const PLENTY: DeadLetterQuota = DeadLetterQuota {
    per_source: 1_000_000,
    bytes_per_source: 1 << 40,
    total: 1_000_000,
};

/// 2023-11-14T22:13:00Z, the start of a minute.
pub const START: Timestamp = Timestamp::from_secs(1_699_999_980);

pub fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// A tick `ms` after [`START`].
pub fn tick(name: &str, ms: i64, seq: u64, price: f64, size: f64) -> Tick {
    Tick {
        symbol: symbol(name),
        ts: START.plus_micros(ms * 1_000),
        seq,
        price,
        size,
    }
}

/// A bar that came as a bar, `nth` after the one that holds [`START`].
pub fn bar(name: &str, interval: Interval, nth: u32, close: f64) -> Bar {
    let start = interval
        .start_of(START)
        .plus_micros(i64::from(nth) * interval.micros());
    let (first, last) = Bar::keys_until(interval, start, Timestamp::MAX);
    Bar {
        symbol: symbol(name),
        interval,
        start,
        open: close - 0.25,
        high: close + 1.0,
        low: close - 1.0,
        close,
        volume: 1_000.5,
        trades: 0,
        first,
        last,
    }
}

/// Everything of a symbol and interval.
pub fn all_of(name: &str, interval: Interval) -> BarQuery {
    BarQuery {
        symbol: symbol(name),
        interval,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: usize::MAX,
    }
}

/// Every stored bar of the symbols must be the fold of these ticks, and nothing else.
pub async fn assert_bars_are_the_fold(store: &dyn PriceReader, ticks: &[Tick]) {
    let mut expected: BTreeMap<(Symbol, Interval), Vec<Bar>> = BTreeMap::new();
    for bar in bars_from_ticks(ticks, &Interval::ALL) {
        let key = (bar.symbol.clone(), bar.interval);
        expected.entry(key).or_default().push(bar);
    }
    for ((symbol, interval), bars) in expected {
        let stored = store
            .bars(&all_of(symbol.as_str(), interval))
            .await
            .unwrap();
        assert_eq!(stored, bars, "{symbol} {interval}");
    }
}
