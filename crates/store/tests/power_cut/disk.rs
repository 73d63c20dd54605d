//! What a disk holds after the power went: made up from what was written and synced.
//!
//! Model: what was synced is there. Of what was written after, each 512 bytes are there or not, in any
//! combination, and the piece that was on its way may be torn within them; where a file grew and its
//! bytes did not arrive there are zeros, or anything. A new length is there or not. A file that was made,
//! or deleted, is so for sure once its folder was synced: SQLite does that with the first sync of a
//! journal or WAL, and when it deletes a journal.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use testing::SplitMix64;

use super::vfs::Op;

/// What a disk writes as one.
const SECTOR: usize = 512;

/// How much of what was not synced has arrived.
#[derive(Clone, Copy, Debug)]
enum Arrived {
    Nothing,
    Everything,
    /// In order, the last of it torn.
    UpTo,
    /// Any part of it.
    Any,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone, Debug, Default)]
struct Node {
    synced: Vec<u8>,
    pending: Vec<Pending>,
}

impl Node {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&mut self.synced, &change, 0);
        }
    }

    fn after(&self, arrived: Arrived, random: &mut SplitMix64) -> Vec<u8> {
        let mut content = self.synced.clone();
        let hole = if random.below(2) == 0 { 0 } else { 0xA5 };
        let last = random.below(self.pending.len() as u64 + 1) as usize;
        for (number, change) in self.pending.iter().enumerate() {
            match (arrived, change) {
                (Arrived::Nothing, _) => {}
                (Arrived::Everything, change) => apply(&mut content, change, hole),
                (Arrived::UpTo, change) if number < last => apply(&mut content, change, hole),
                (Arrived::UpTo, Pending::Write(at, data)) if number == last => {
                    let torn = random.below(data.len() as u64 + 1) as usize;
                    let torn = Pending::Write(*at, data[..torn].to_vec());
                    apply(&mut content, &torn, hole);
                }
                (Arrived::UpTo, _) => {}
                (Arrived::Any, Pending::Truncate(_)) => {
                    if random.below(2) == 0 {
                        apply(&mut content, change, hole);
                    }
                }
                (Arrived::Any, Pending::Write(at, data)) => {
                    for (start, sector) in sectors(*at, data) {
                        let kept = match random.below(8) {
                            0..4 => sector.len(),
                            4 => random.below(sector.len() as u64) as usize,
                            _ => continue,
                        };
                        let part = Pending::Write(start, sector[..kept].to_vec());
                        apply(&mut content, &part, hole);
                    }
                }
            }
        }
        content
    }
}

/// A write cut where sectors meet.
fn sectors(at: u64, data: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    let (mut at, mut rest) = (at, data);
    while !rest.is_empty() {
        let room = SECTOR - (at as usize % SECTOR);
        let (part, more) = rest.split_at(room.min(rest.len()));
        parts.push((at, part));
        at += part.len() as u64;
        rest = more;
    }
    parts
}

fn apply(content: &mut Vec<u8>, change: &Pending, hole: u8) {
    match change {
        Pending::Write(_, data) if data.is_empty() => {}
        Pending::Write(at, data) => {
            let (at, end) = (*at as usize, *at as usize + data.len());
            if content.len() < end {
                content.resize(end, hole);
            }
            content[at..end].copy_from_slice(data);
        }
        Pending::Truncate(size) => content.resize(*size as usize, 0),
    }
}

/// The disk, as the changes go on.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    nodes: Vec<Node>,
    /// Which file a name stands for now, and for sure after a power cut.
    names: BTreeMap<Arc<str>, usize>,
    synced_names: BTreeMap<Arc<str>, usize>,
}

/// The content of each file.
pub type Image = BTreeMap<Arc<str>, Vec<u8>>;

impl Disk {
    /// Takes a change.
    pub fn take(&mut self, op: &Op) {
        match op {
            Op::Create(name) => {
                self.nodes.push(Node::default());
                self.names.insert(Arc::clone(name), self.nodes.len() - 1);
            }
            Op::Write(name, at, data) => {
                self.node(name)
                    .pending
                    .push(Pending::Write(*at, data.clone()));
            }
            Op::Truncate(name, size) => self.node(name).pending.push(Pending::Truncate(*size)),
            Op::Sync(name) => {
                self.node(name).sync();
                if name.ends_with("-wal") || name.ends_with("-journal") {
                    self.synced_names = self.names.clone();
                }
            }
            Op::Delete(name, folder_synced) => {
                self.names.remove(name);
                if *folder_synced {
                    self.synced_names = self.names.clone();
                }
            }
            Op::Acknowledged(_) => {}
        }
    }

    fn node(&mut self, name: &Arc<str>) -> &mut Node {
        let Some(index) = self.names.get(name) else {
            panic!("{name} is written and was never made");
        };
        &mut self.nodes[*index]
    }

    /// What is left when the power goes now.
    pub fn after_power_cut(&self, random: &mut SplitMix64) -> Image {
        use Arrived::{Any, Everything, Nothing, UpTo};
        // A folder's changes reach the disk together or not at all, as in the journal of a file system.
        let names = if random.below(2) == 0 {
            &self.synced_names
        } else {
            &self.names
        };
        names
            .iter()
            .map(|(name, node)| {
                let arrived = [Nothing, Everything, UpTo, Any, Any][random.below(5) as usize];
                (Arc::clone(name), self.nodes[*node].after(arrived, random))
            })
            .collect()
    }

    /// What is left when everything that was written has arrived.
    pub fn whole(&self) -> Image {
        let random = &mut SplitMix64::new(0);
        self.names
            .iter()
            .map(|(name, node)| {
                let content = self.nodes[*node].after(Arrived::Everything, random);
                (Arc::clone(name), content)
            })
            .collect()
    }
}

/// Writes an image into a folder.
pub fn write(image: &Image, dir: &Path) {
    for (name, content) in image {
        fs::write(dir.join(&**name), content).unwrap();
    }
}
