//! What a member of a group does when partitions come and go.
//!
//! Where a partition begins is asked of the group here, again until it is known, and given to
//! librdkafka with the assignment. librdkafka would ask by itself, but 2.12 asks once: when the
//! coordinator answers with an error (a broker that has just come back is not the coordinator yet),
//! the partition stays assigned and is never read (confluentinc/librdkafka#5586).
//!
//! All of it runs on the consumer's own thread, within its look for messages; librdkafka's main
//! thread goes on sending heartbeats meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};

use super::{
    fault::{self, Complaints, fault},
    reading::Reading,
};

/// How long a partition that is being taken away waits for what was handed out of it.
const REVOKE_WAIT: Duration = Duration::from_secs(3);
/// How long one question for the group's offsets may take: so long a dropped consumer stays.
const ASK: Duration = Duration::from_secs(1);
/// How long to wait before asking once more.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// After so long without an answer the consumer is given up, to be made anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// What librdkafka calls back into.
pub(super) struct Context {
    pub reading: Arc<Reading>,
    pub complaints: Arc<Complaints>,
    /// Where to begin with a partition of which the group has committed nothing.
    pub otherwise: Offset,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        fault::complain(&self.complaints, &error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        fault::log(level, facility, message);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoke(consumer, partitions)
            }
            // librdkafka wants an answer to every rebalance, and to a failed one this.
            other => consumer
                .unassign()
                .and(Err(KafkaError::Rebalance(other.into()))),
        };
        if let Err(error) = done
            && !self.reading.stopped()
        {
            // librdkafka's books and ours may differ now.
            let why = fault("rebalancing", &error, &self.complaints).to_string();
            self.reading.failed(Some(why));
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|e| e.partition()).collect()
}

fn one_by_one(consumer: &BaseConsumer<Context>) -> bool {
    matches!(
        consumer.rebalance_protocol(),
        RebalanceProtocol::Cooperative
    )
}

impl Context {
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> KafkaResult<()> {
        let starts = self.starts(consumer, partitions);
        // Also when they are not known: librdkafka waits for the answer to its rebalance.
        let starts = starts.as_ref().unwrap_or(partitions);
        tracing::debug!(?starts, "partitions come");
        if one_by_one(consumer) {
            consumer.incremental_assign(starts)?;
        } else {
            consumer.assign(starts)?;
        }
        self.reading.assign(numbers(partitions));
        if partitions.count() == 0 {
            Ok(())
        } else if self.reading.paused() {
            consumer.pause(partitions)
        } else {
            // librdkafka keeps the pause of a partition that has been ours before.
            consumer.resume(partitions)
        }
    }

    /// Where to begin with these partitions. `None` when that is not known and nobody will read
    /// them: the consumer is to go, or to be made anew.
    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Option<TopicPartitionList> {
        let started = Instant::now();
        while partitions.count() > 0 {
            match self.ask(consumer, partitions) {
                Ok(starts) => return Some(starts),
                Err(_) if self.reading.stopped() || consumer.assignment_lost() => return None,
                Err(error) if started.elapsed() >= PATIENCE => {
                    let doing = "asking where the group is";
                    let why = fault(doing, &error, &self.complaints).to_string();
                    self.reading.failed(Some(why));
                    return None;
                }
                Err(error) => {
                    tracing::debug!(%error, "asking where the group is");
                    std::thread::sleep(ASK_AGAIN);
                }
            }
        }
        None
    }

    fn ask(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> KafkaResult<TopicPartitionList> {
        let starts = consumer.committed_offsets(partitions.clone(), ASK)?;
        for mut partition in starts.elements() {
            partition.error()?;
            if !matches!(partition.offset(), Offset::Offset(_)) {
                partition.set_offset(self.otherwise)?;
            }
        }
        Ok(starts)
    }

    fn revoke(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> KafkaResult<()> {
        let lost = consumer.assignment_lost();
        let numbers = numbers(partitions);
        tracing::debug!(partitions = ?numbers, lost, "partitions go");
        // What was lost to a session time-out cannot be committed any more.
        let wait = if lost { Duration::ZERO } else { REVOKE_WAIT };
        self.reading.before_revoke(&numbers, wait);
        let done = if one_by_one(consumer) {
            consumer.incremental_unassign(partitions)
        } else {
            consumer.unassign()
        };
        self.reading.revoke(&numbers);
        done
    }
}
