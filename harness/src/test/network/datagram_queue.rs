//! The datagrams that a link has received and not yet sent, and the faults that decide on them.

use super::condition::{Condition, ConditionId};
use super::direction::Direction;
use rand::RngExt as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The largest number of waiting bytes. Further datagrams are lost, as in a full router.
const CAPACITY: usize = 16 << 20;

/// The number of bytes that each datagram counts in addition to its own bytes.
const OVERHEAD: usize = 128;

/// The longest time for which a datagram waits for datagrams that overtake it.
const OVERTAKING: Duration = Duration::from_secs(1);

/// The receiver of a datagram.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// The server, which sees the address of this socket.
    Server(Arc<UdpSocket>),
    Client(SocketAddr),
}

/// The waiting datagrams of a link.
#[derive(Debug, Default)]
pub(super) struct DatagramQueue {
    /// The number of conditions so far.
    count: usize,
    conditions: Vec<(ConditionId, Condition)>,
    /// The waiting datagrams, in the order of their arrival.
    waiting: Vec<WaitingDatagram>,
    size: usize,
}

#[derive(Clone, Debug)]
struct WaitingDatagram {
    direction: Direction,
    destination: Destination,
    bytes: Vec<u8>,
    arrived: Instant,
    /// The delays. Each delay lasts until its condition is removed.
    delays: Vec<(ConditionId, Duration)>,
    /// The condition that holds the datagram until this number of others has overtaken it.
    overtaken: Option<(ConditionId, u8)>,
}

impl DatagramQueue {
    pub(super) fn put(&mut self, condition: Condition) -> ConditionId {
        self.count += 1;
        let id = ConditionId::new(self.count);
        self.conditions.push((id, condition));
        id
    }

    /// Removes a condition. The datagrams that it delays are then due.
    pub(super) fn remove(&mut self, id: ConditionId) {
        self.conditions.retain(|(other, _)| *other != id);
        for datagram in &mut self.waiting {
            datagram.delays.retain(|(other, _)| *other != id);
            datagram.overtaken.take_if(|(other, _)| *other == id);
        }
    }

    /// Receives a datagram. Draws its fate: it can be lost, delayed, duplicated or overtaken.
    pub(super) fn push(&mut self, direction: Direction, destination: Destination, bytes: &[u8]) {
        let mut datagram = WaitingDatagram {
            direction,
            destination,
            bytes: bytes.to_vec(),
            arrived: Instant::now(),
            delays: Vec::new(),
            overtaken: None,
        };
        let (mut is_lost, mut copies) = (false, 1);
        // Each condition draws for each datagram. So the number of a datagram decides on its fate.
        for (id, condition) in &mut self.conditions {
            match condition {
                Condition::Blackhole { direction: covered } if covered.covers(direction) => {
                    is_lost = true;
                }
                Condition::PacketLoss(chance) => is_lost |= chance.draw(direction),
                Condition::PacketDuplication(chance) => {
                    copies += usize::from(chance.draw(direction));
                }
                Condition::PacketReordering { chance, by } => {
                    let overtaken = chance.draw(direction).then_some((*id, *by));
                    let overtaken = overtaken.filter(|(_, by)| *by > 0);
                    datagram.overtaken = overtaken.or(datagram.overtaken);
                }
                Condition::Latency {
                    direction: covered,
                    delay,
                    jitter,
                    rng,
                } if covered.covers(direction) => {
                    let delay = *delay + jitter.mul_f64(rng.random::<f64>());
                    datagram.delays.push((*id, delay));
                }
                _ => {}
            }
        }
        for _ in 0..copies {
            let size = datagram.bytes.len() + OVERHEAD;
            if !is_lost && self.size + size <= CAPACITY {
                self.size += size;
                self.waiting.push(datagram.clone());
            }
        }
    }

    /// Takes the next datagram that is due at this time.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Destination, Vec<u8>)> {
        let due = self.waiting.iter().enumerate();
        let due = due.map(|(place, datagram)| (datagram.due(), place));
        let (due, place) = due.min()?;
        if due > now {
            return None;
        }
        let datagram = self.waiting.remove(place);
        self.size -= datagram.bytes.len() + OVERHEAD;
        // Only the datagrams that arrived earlier are overtaken.
        for other in &mut self.waiting[..place] {
            if let Some((_, left)) = &mut other.overtaken
                && other.direction == datagram.direction
                && other.destination == datagram.destination
            {
                *left = left.saturating_sub(1);
            }
            other.overtaken.take_if(|(_, left)| *left == 0);
        }
        Some((datagram.destination, datagram.bytes))
    }

    /// The time at which the next datagram is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(WaitingDatagram::due).min()
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server(one), Self::Server(other)) => Arc::ptr_eq(one, other),
            (Self::Client(one), Self::Client(other)) => one == other,
            _ => false,
        }
    }
}

impl WaitingDatagram {
    fn due(&self) -> Instant {
        let delay: Duration = self.delays.iter().map(|(_, delay)| *delay).sum();
        let overtaking = self.overtaken.map_or(Duration::ZERO, |_| OVERTAKING);
        self.arrived + delay + overtaking
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::network::chance::Chance;

    const HOUR: Duration = Duration::from_secs(3600);

    fn client() -> Destination {
        Destination::Client(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// Takes all datagrams that are due at this time.
    fn take(queue: &mut DatagramQueue, now: Instant) -> Vec<u8> {
        std::iter::from_fn(|| queue.take_due(now))
            .map(|(_, bytes)| bytes[0])
            .collect()
    }

    #[test]
    fn datagram_queue_reordering_lets_later_datagrams_overtake() {
        let mut queue = DatagramQueue::default();
        queue.push(Direction::ToClient, client(), &[0]);
        let chance = Chance::new(Direction::ToClient, 100, 1);
        let id = queue.put(Condition::PacketReordering { chance, by: 2 });
        queue.push(Direction::ToClient, client(), &[1]);
        queue.push(Direction::ToClient, client(), &[2]);
        queue.conditions.clear();
        queue.push(Direction::ToServer, client(), &[3]);
        queue.push(Direction::ToClient, client(), &[4]);
        let now = Instant::now();
        assert_eq!(take(&mut queue, now), [0, 3, 4]);
        queue.push(Direction::ToClient, client(), &[5]);
        assert_eq!(take(&mut queue, Instant::now()), [5, 1, 2]);
        let chance = Chance::new(Direction::ToClient, 100, 1);
        assert_ne!(queue.put(Condition::PacketReordering { chance, by: 1 }), id);
        queue.push(Direction::ToClient, client(), &[6]);
        let now = Instant::now();
        assert_eq!(take(&mut queue, now), [0_u8; 0]);
        assert_eq!(take(&mut queue, now + OVERTAKING), [6]);
    }

    #[test]
    fn datagram_queue_undo_makes_waiting_datagrams_due() {
        let mut queue = DatagramQueue::default();
        let chance = Chance::new(Direction::Both, 100, 1);
        let late = queue.put(Condition::Latency {
            direction: Direction::Both,
            delay: HOUR,
            jitter: Duration::ZERO,
            rng: Box::new(crate::test::random::rng(clarity_chaos_record::Seed::new(1))),
        });
        let mixed = queue.put(Condition::PacketReordering { chance, by: 1 });
        queue.push(Direction::ToServer, client(), &[1]);
        let now = Instant::now();
        assert!(queue.next_due().unwrap() > now + HOUR);
        queue.remove(late);
        assert_eq!(take(&mut queue, now), [0_u8; 0]);
        queue.remove(mixed);
        assert_eq!(take(&mut queue, now), [1]);
        assert_eq!((queue.size, queue.next_due()), (0, None));
    }
}
