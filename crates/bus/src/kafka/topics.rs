//! What a bus asks the broker about topics and groups, and the making of topics.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::Producer as _,
};

use super::{FollowFrom, Inner, after, fault::Asking, fault::fault, stuck};
use crate::{Bounds, BusError, GroupLag, Result};

/// How long one question to the broker may take.
const ASK: Duration = Duration::from_secs(10);

impl Inner {
    /// Makes the topic when it is missing.
    pub(super) async fn ensure_topic(self: &Arc<Self>, topic: &str) -> Result<()> {
        let mut known = self.topics.lock().await;
        if known.contains(topic) {
            return Ok(());
        }
        if !self.exists(topic).await? {
            self.create(topic).await?;
            // The answer comes when the controller knows the topic; each broker learns of it after.
            let started = std::time::Instant::now();
            while !self.is_led(topic).await? && started.elapsed() < ASK {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        known.insert(topic.to_owned());
        Ok(())
    }

    async fn exists(self: &Arc<Self>, topic: &str) -> Result<bool> {
        Ok(!self.ask_partitions(topic).await?.is_empty())
    }

    /// Whether the topic is there and each of its partitions has a leader.
    pub(super) async fn is_led(self: &Arc<Self>, topic: &str) -> Result<bool> {
        let partitions = self.ask_partitions(topic).await?;
        Ok(!partitions.is_empty() && partitions.iter().all(|(_, led)| *led))
    }

    async fn ask_partitions(self: &Arc<Self>, topic: &str) -> Result<Vec<(i32, bool)>> {
        let inner = self.clone();
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || inner.partitions(&topic))
            .await
            .map_err(stuck)?
    }

    /// All partitions of a topic.
    ///
    /// # Errors
    /// Unavailable too while one has no leader: who went on with the others would take them for all.
    fn all_partitions(&self, topic: &str) -> Result<Vec<i32>> {
        let partitions = self.partitions(topic)?;
        if let Some((leaderless, _)) = partitions.iter().find(|(_, led)| !led) {
            return Err(BusError::Unavailable {
                detail: format!(
                    "partition {leaderless} of {topic} has no leader: start the broker that has it"
                ),
            });
        }
        Ok(partitions.into_iter().map(|(id, _)| id).collect())
    }

    /// Those that have a leader.
    fn led_partitions(&self, topic: &str) -> Result<Vec<i32>> {
        let partitions = self.partitions(topic)?.into_iter();
        Ok(partitions
            .filter_map(|(id, led)| led.then_some(id))
            .collect())
    }

    /// The topic's partitions, and whether each has a leader; none when there is no such topic.
    fn partitions(&self, topic: &str) -> Result<Vec<(i32, bool)>> {
        let client = self.producer.client();
        let metadata = client
            .client()
            .fetch_metadata(Some(topic), ASK)
            .map_err(|e| fault("asking for a topic", &e, &self.complaints))?;
        let Some(topic) = metadata.topics().first() else {
            return Ok(Vec::new());
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(topic
                .partitions()
                .iter()
                .map(|p| (p.id(), p.leader() >= 0))
                .collect()),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::LeaderNotAvailable,
            ) => Ok(Vec::new()),
            Some(code) => Err(fault(
                "asking for a topic",
                &KafkaError::MetadataFetch(code),
                &self.complaints,
            )),
        }
    }

    async fn create(&self, topic: &str) -> Result<()> {
        let options = &self.options;
        let mut config: ClientConfig = options.observer("tickcast-admin");
        config.remove("group.id");
        let admin: AdminClient<Asking> = config
            .create_with_context(Asking(self.complaints.clone()))
            .map_err(|e| fault("making a topic", &e, &self.complaints))?;
        let count = |n: u32| i32::try_from(n.max(1)).unwrap_or(i32::MAX);
        let mut new = NewTopic::new(
            topic,
            count(options.partitions),
            TopicReplication::Fixed(count(options.replication)),
        );
        for (key, value) in &options.topic {
            new = new.set(key, value);
        }
        let answers = admin
            .create_topics([&new], &AdminOptions::new().operation_timeout(Some(ASK)))
            .await
            .map_err(|e| fault("making a topic", &e, &self.complaints))?;
        match answers.into_iter().next() {
            Some(Err((name, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(BusError::Configuration {
                    detail: format!(
                        "topic {name} is missing and could not be made ({code}): make it by hand, or correct its partitions, replication and settings"
                    ),
                })
            }
            _ => {
                tracing::info!(topic, partitions = options.partitions, "topic made");
                Ok(())
            }
        }
    }

    /// Where a follower begins in each partition.
    pub(super) async fn offsets_to_follow(
        self: &Arc<Self>,
        topic: &str,
        from: FollowFrom,
    ) -> Result<Vec<(i32, Offset)>> {
        let inner = self.clone();
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || {
            let partitions = inner.all_partitions(&topic)?;
            let named = match &from {
                FollowFrom::After(positions) => after(positions),
                _ => Default::default(),
            };
            partitions
                .into_iter()
                .map(|partition| {
                    let offset = match &from {
                        // As a number, known now: "the end" would be wherever it is by then.
                        FollowFrom::Newest => {
                            Offset::Offset(inner.watermarks(&topic, partition)?.1)
                        }
                        _ => named.get(&partition).copied().unwrap_or(Offset::Beginning),
                    };
                    Ok((partition, offset))
                })
                .collect()
        })
        .await
        .map_err(stuck)?
    }

    /// How far each partition reaches.
    pub(super) fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        let mut partitions = self.led_partitions(topic)?;
        partitions.sort_unstable();
        partitions
            .into_iter()
            .map(|partition| {
                let (low, high) = self.watermarks(topic, partition)?;
                Ok(Bounds {
                    partition: partition.unsigned_abs(),
                    oldest: low.max(0).unsigned_abs(),
                    next: high.max(0).unsigned_abs(),
                })
            })
            .collect()
    }

    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        self.producer
            .client()
            .client()
            .fetch_watermarks(topic, partition, ASK)
            .map_err(|e| fault("asking for a partition's end", &e, &self.complaints))
    }

    /// How far each group that this process is in or watches is behind.
    pub(super) fn lag(&self, topic: &str) -> Result<Vec<GroupLag>> {
        let partitions = self.led_partitions(topic)?;
        let ends = partitions
            .iter()
            .map(|p| Ok((*p, self.watermarks(topic, *p)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut groups: BTreeSet<String> = self.members().groups.clone();
        groups.extend(self.options.watched_groups.iter().cloned());
        let mut lags = Vec::with_capacity(groups.len());
        for group in groups {
            let mut list = TopicPartitionList::new();
            for partition in &partitions {
                list.add_partition(topic, *partition);
            }
            let committed = self
                .observer(&group)?
                .committed_offsets(list, ASK)
                .map_err(|e| fault("asking for a group's offsets", &e, &self.complaints))?;
            let (mut records, mut stands) = (0, 0);
            for (partition, (low, high)) in &ends {
                let done = committed
                    .find_partition(topic, *partition)
                    .map(|e| e.offset());
                let done = match done {
                    Some(Offset::Offset(done)) => done.max(*low),
                    _ => *low,
                };
                records += high.saturating_sub(done).max(0).unsigned_abs();
                stands += done.max(0).unsigned_abs();
            }
            metrics::gauge!(
                "tickcast_bus_lag_records",
                "topic" => topic.to_owned(), "group" => group.clone()
            )
            .set(records as f64);
            lags.push(GroupLag {
                group,
                records,
                committed: stands,
            });
        }
        Ok(lags)
    }

    /// A client of the group's name that is not a member; kept, for asking again.
    fn observer(&self, group: &str) -> Result<Arc<BaseConsumer<Asking>>> {
        let mut members = self.members();
        if let Some(observer) = members.observers.get(group) {
            return Ok(observer.clone());
        }
        let observer: BaseConsumer<Asking> = self
            .options
            .observer(group)
            .create_with_context(Asking(self.complaints.clone()))
            .map_err(|e| fault("asking for a group's offsets", &e, &self.complaints))?;
        let observer = Arc::new(observer);
        members.observers.insert(group.to_owned(), observer.clone());
        Ok(observer)
    }
}
