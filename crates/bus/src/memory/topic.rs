//! The state of one topic and every change to it, without waiting: the machine behind the lock.
//!
//! Model: a partition is a queue of records with the offset of its front. A group has, for each
//! partition, the offset it has committed, the offset it delivers next and the member that owns it.
//! A record leaves when every group has committed it; the rows that remain are what the capacity
//! bounds.
//!
//! Rebalancing is cooperative: when members join or leave, a partition moves to its new owner as
//! soon as the old one holds no uncommitted record of it, so no record is with two members at once.
//!
//! What it does not do: wait or wake; see the parent module.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{Delivery, GroupLag, Position, Record};

/// Tells the members of all groups of a topic apart.
pub(super) type MemberId = u64;

/// One partition: the records that some group still needs.
#[derive(Debug, Default)]
struct Partition {
    /// The offset of the front record.
    front: u64,
    records: VecDeque<Record>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.front + self.records.len() as u64
    }

    fn get(&self, offset: u64) -> Option<&Record> {
        let index = usize::try_from(offset.checked_sub(self.front)?).ok()?;
        self.records.get(index)
    }
}

/// How a group stands in one partition.
#[derive(Clone, Copy, Debug)]
struct Progress {
    committed: u64,
    /// The next offset to deliver: from `committed` to here is with the owner.
    delivered: u64,
    owner: Option<MemberId>,
}

#[derive(Debug)]
struct Group {
    /// In the order of joining.
    members: Vec<MemberId>,
    /// By partition.
    progress: Vec<Progress>,
}

impl Group {
    /// Gives partitions to the members that should have them, where the present owner lets go.
    fn rebalance(&mut self) {
        let members = &self.members;
        for (index, progress) in self.progress.iter_mut().enumerate() {
            if progress.owner.is_some() && progress.delivered > progress.committed {
                continue;
            }
            progress.owner = members.get(index % members.len().max(1)).copied();
        }
    }
}

/// What a poll finds.
#[derive(Debug, PartialEq)]
pub(super) enum Polled {
    /// At least one record.
    Records(Vec<Delivery>),
    /// Nothing at the moment.
    Nothing,
    /// The topic is closed, and the group has nothing left that could come to this member.
    Drained,
}

/// The topic.
#[derive(Debug)]
pub(super) struct Topic {
    capacity_rows: usize,
    partitions: Vec<Partition>,
    groups: BTreeMap<String, Group>,
    /// Rows kept, over all partitions.
    rows: usize,
    next_member: MemberId,
    closed: bool,
}

impl Topic {
    pub(super) fn new(capacity_rows: usize, partitions: u32) -> Self {
        Self {
            capacity_rows: capacity_rows.max(1),
            partitions: (0..partitions.max(1))
                .map(|_| Partition::default())
                .collect(),
            groups: BTreeMap::new(),
            rows: 0,
            next_member: 0,
            closed: false,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Takes records from the front of the queue while there is room; returns the rows taken. A
    /// record larger than the whole capacity is taken when the topic is empty.
    pub(super) fn push(&mut self, records: &mut VecDeque<Record>) -> usize {
        let mut taken = 0;
        while let Some(record) = records.front() {
            let rows = record.payload.rows();
            if self.rows > 0 && self.rows + rows > self.capacity_rows {
                break;
            }
            let Some(record) = records.pop_front() else {
                break;
            };
            let partition = self.partition_of(&record.key);
            self.partitions[partition].records.push_back(record);
            self.rows += rows;
            taken += rows;
        }
        taken
    }

    /// Adds a member to a group, which is made when it is new.
    pub(super) fn join(&mut self, group: &str) -> MemberId {
        let id = self.next_member;
        self.next_member += 1;
        let partitions = &self.partitions;
        let group = self
            .groups
            .entry(group.to_owned())
            .or_insert_with(|| Group {
                members: Vec::new(),
                progress: partitions
                    .iter()
                    .map(|p| Progress {
                        committed: p.front,
                        delivered: p.front,
                        owner: None,
                    })
                    .collect(),
            });
        group.members.push(id);
        group.rebalance();
        id
    }

    /// Removes a member; what it has not committed will be delivered again. Returns how many
    /// records those are.
    pub(super) fn leave(&mut self, group: &str, member: MemberId) -> u64 {
        let Some(group) = self.groups.get_mut(group) else {
            return 0;
        };
        group.members.retain(|m| *m != member);
        let mut again = 0;
        for progress in &mut group.progress {
            if progress.owner == Some(member) {
                again += progress.delivered - progress.committed;
                progress.delivered = progress.committed;
                progress.owner = None;
            }
        }
        group.rebalance();
        again
    }

    /// Delivers up to `max_rows` rows to a member, beginning with the `turn`-th partition so that no
    /// partition starves.
    pub(super) fn poll(
        &mut self,
        group: &str,
        member: MemberId,
        max_rows: usize,
        turn: usize,
    ) -> Polled {
        let Some(group) = self.groups.get_mut(group) else {
            return Polled::Drained;
        };
        let mut deliveries = Vec::new();
        let mut rows = 0;
        let mut left_over = false;
        let count = self.partitions.len();
        for index in (0..count).map(|i| (i + turn % count) % count) {
            let partition = &self.partitions[index];
            let progress = &mut group.progress[index];
            if progress.owner != Some(member) {
                left_over |= progress.committed < partition.end();
                continue;
            }
            while let Some(record) = partition.get(progress.delivered) {
                let more = record.payload.rows();
                if !deliveries.is_empty() && rows + more > max_rows {
                    return Polled::Records(deliveries);
                }
                deliveries.push(Delivery {
                    position: Position {
                        partition: u32::try_from(index).unwrap_or(u32::MAX),
                        offset: progress.delivered,
                    },
                    record: record.clone(),
                });
                progress.delivered += 1;
                rows += more;
            }
        }
        if !deliveries.is_empty() {
            Polled::Records(deliveries)
        } else if self.closed && !left_over {
            Polled::Drained
        } else {
            Polled::Nothing
        }
    }

    /// Commits what a member holds and drops the records that no group needs any more. Returns
    /// whether anything was held.
    pub(super) fn commit(&mut self, group: &str, member: MemberId) -> bool {
        let Some(group) = self.groups.get_mut(group) else {
            return false;
        };
        let mut held = false;
        for progress in &mut group.progress {
            if progress.owner == Some(member) && progress.delivered > progress.committed {
                progress.committed = progress.delivered;
                held = true;
            }
        }
        if held {
            group.rebalance();
            self.drop_committed();
        }
        held
    }

    /// How far each group is behind.
    pub(super) fn lag(&self) -> Vec<GroupLag> {
        self.groups
            .iter()
            .map(|(name, group)| GroupLag {
                group: name.clone(),
                records: self
                    .partitions
                    .iter()
                    .zip(&group.progress)
                    .map(|(partition, progress)| partition.end() - progress.committed)
                    .sum(),
                committed: group.progress.iter().map(|p| p.committed).sum(),
            })
            .collect()
    }

    fn drop_committed(&mut self) {
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            let slowest = self.groups.values().map(|g| g.progress[index].committed);
            let slowest = slowest.min().unwrap_or(partition.front);
            while partition.front < slowest {
                let Some(record) = partition.records.pop_front() else {
                    break;
                };
                partition.front += 1;
                self.rows -= record.payload.rows();
            }
        }
    }

    fn partition_of(&self, key: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % self.partitions.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Payload;

    fn records(keys: &[&str]) -> VecDeque<Record> {
        keys.iter()
            .map(|key| Record {
                key: (*key).to_owned(),
                source: "test".into(),
                source_offset: None,
                received: std::time::Instant::now(),
                payload: Payload::Raw(Bytes::from_static(b"x")),
            })
            .collect()
    }

    fn count(polled: Polled) -> usize {
        match polled {
            Polled::Records(records) => records.len(),
            Polled::Nothing | Polled::Drained => 0,
        }
    }

    #[test]
    fn a_partition_moves_to_a_new_member_only_when_the_old_one_has_committed() {
        let mut topic = Topic::new(100, 2);
        // Keys until each partition has some.
        let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
        topic.push(&mut records(
            &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
        let first = topic.join("g");
        assert_eq!(count(topic.poll("g", first, 100, 0)), 20);
        let second = topic.join("g");
        assert_eq!(topic.poll("g", second, 100, 0), Polled::Nothing);
        assert!(
            !topic.commit("g", second),
            "that is the first member's to commit"
        );
        assert!(topic.commit("g", first));
        assert_eq!(topic.lag()[0].records, 0);
        topic.push(&mut records(
            &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
        let (a, b) = (
            count(topic.poll("g", first, 100, 0)),
            count(topic.poll("g", second, 100, 0)),
        );
        assert!(a > 0 && b > 0 && a + b == 20, "{a} and {b}");
    }

    #[test]
    fn rows_are_freed_when_the_slowest_group_has_committed_them() {
        let mut topic = Topic::new(3, 1);
        let (a, b) = (topic.join("a"), topic.join("b"));
        let mut queue = records(&["k"; 5]);
        assert_eq!(topic.push(&mut queue), 3);
        topic.poll("a", a, 10, 0);
        topic.commit("a", a);
        assert_eq!((topic.rows(), topic.push(&mut queue)), (3, 0));
        topic.poll("b", b, 2, 0);
        topic.commit("b", b);
        assert_eq!((topic.rows(), topic.push(&mut queue)), (1, 2));
    }

    #[test]
    fn a_record_larger_than_the_capacity_is_taken_when_the_topic_is_empty() {
        let mut topic = Topic::new(2, 1);
        let tick = market::Tick {
            symbol: "A".parse().unwrap(),
            ts: market::Timestamp::from_secs(1),
            seq: 1,
            price: 1.0,
            size: 1.0,
        };
        let mut queue = records(&["k"]);
        queue[0].payload = Payload::Ticks(vec![tick; 5].into());
        assert_eq!(topic.push(&mut queue), 5);
        assert_eq!(topic.push(&mut records(&["k"])), 0);
    }

    #[test]
    fn a_closed_topic_is_not_drained_while_another_member_may_give_records_back() {
        let mut topic = Topic::new(100, 1);
        topic.push(&mut records(&["k"]));
        let first = topic.join("g");
        let second = topic.join("g");
        topic.poll("g", first, 10, 0);
        topic.close();
        assert_eq!(topic.poll("g", first, 10, 0), Polled::Drained);
        assert_eq!(topic.poll("g", second, 10, 0), Polled::Nothing);
        assert_eq!(topic.leave("g", first), 1);
        assert_eq!(count(topic.poll("g", second, 10, 0)), 1);
        topic.commit("g", second);
        assert_eq!(topic.poll("g", second, 10, 0), Polled::Drained);
    }
}
