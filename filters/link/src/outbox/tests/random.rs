//! An outbox and a sidecar in orders at random, with streams that break at any moment: every
//! record is taken, in order, and acknowledged once.

use std::collections::{HashMap, HashSet, VecDeque};

use super::*;

/// Steps of one way; the ways differ by their seeds.
const STEPS: usize = 400;
const WAYS: u64 = 150;

/// xorshift64* (Marsaglia 2003, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % most
    }
}

/// What a sidecar has taken, and knows again.
#[derive(Default)]
struct Sidecar {
    taken: HashSet<(u32, v1::entry::Kind)>,
    /// Pieces of each call.
    pieces: HashMap<u32, u32>,
    /// In the order in which they were first told of.
    admits: Vec<u32>,
    refusals: Vec<u32>,
}

impl Sidecar {
    fn take(&mut self, up: &v1::Up) {
        for entry in &up.entries {
            let (call, kind) = (number(&entry.record_id), entry.kind());
            if kind == v1::entry::Kind::Admit && self.taken.insert((call, kind)) {
                self.admits.push(call);
            }
        }
        for contents in &up.contents {
            let call = number(&contents.record_id);
            assert!(self.taken.contains(&(call, v1::entry::Kind::Admit)));
            let pieces = self.pieces.entry(call).or_default();
            assert!(contents.number <= *pieces, "a piece came before another");
            let is_new = contents.number == *pieces;
            let is_over = self.taken.contains(&(call, v1::entry::Kind::Complete));
            assert!(!(is_new && is_over), "a piece came after the end");
            *pieces += u32::from(is_new);
        }
        for entry in &up.entries {
            let (call, kind) = (number(&entry.record_id), entry.kind());
            match kind {
                v1::entry::Kind::Complete if self.taken.insert((call, kind)) => {
                    let admit = (call, v1::entry::Kind::Admit);
                    assert!(self.taken.contains(&admit), "an end came before its admit");
                    let pieces = self.pieces.get(&call).copied().unwrap_or(0);
                    let all = u32::from_be_bytes(entry.record[..].try_into().unwrap());
                    assert_eq!(pieces, all, "an end came before its bodies");
                }
                v1::entry::Kind::Refuse if self.taken.insert((call, kind)) => {
                    self.refusals.push(call);
                }
                _ => {}
            }
        }
    }
}

fn id(call: u32) -> RecordId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&call.to_be_bytes());
    RecordId(id)
}

fn number(id: &[u8]) -> u32 {
    u32::from_be_bytes(id[..4].try_into().unwrap())
}

struct World {
    random: Random,
    outbox: Outbox,
    sidecar: Sidecar,
    /// Of the open stream.
    ups: VecDeque<v1::Up>,
    downs: VecDeque<v1::Down>,
    expected: u64,
    streams: u8,
    /// Calls that have not ended, with the pieces of each.
    open: Vec<(u32, u32)>,
    calls: u32,
    told: HashMap<(u32, RecordKind), u32>,
    acknowledged: HashMap<(u32, RecordKind), u32>,
    /// In order, of those that were told of.
    admits: Vec<u32>,
    refusals: Vec<u32>,
    most_under_way: usize,
    lost_with_two: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            outbox: open(),
            sidecar: Sidecar::default(),
            ups: VecDeque::new(),
            downs: VecDeque::new(),
            expected: 1,
            streams: 2,
            open: Vec::new(),
            calls: 0,
            told: HashMap::new(),
            acknowledged: HashMap::new(),
            admits: Vec::new(),
            refusals: Vec::new(),
            most_under_way: 0,
            lost_with_two: 0,
        }
    }

    fn tell(&mut self, call: u32, kind: RecordKind, record: &[u8]) {
        *self.told.entry((call, kind)).or_default() += 1;
        let none = std::iter::empty();
        self.outbox.record(kind, &id(call), record, none);
    }

    fn step(&mut self, awaits: bool) {
        match self.random.below(16) {
            0..=3 => {
                self.calls += 1;
                self.open.push((self.calls, 0));
                self.admits.push(self.calls);
                self.tell(self.calls, RecordKind::Admit, b"");
            }
            4 | 5 if !self.open.is_empty() => {
                let at = self.random.below(self.open.len());
                let (call, pieces) = self.open.swap_remove(at);
                self.tell(call, RecordKind::Complete, &pieces.to_be_bytes());
            }
            6 if !self.open.is_empty() => {
                let at = self.random.below(self.open.len());
                // Seldom so much that several make more than a batch may bring.
                let size = match self.random.below(8) {
                    0 => MOST_CONTENTS_AT_ONCE / 3,
                    _ => 10,
                };
                let (call, pieces) = &mut self.open[at];
                let told = self.told.entry((*call, RecordKind::Contents));
                *told.or_default() += 1;
                self.outbox
                    .contents(&id(*call), Half::Response, *pieces, &vec![0; size]);
                *pieces += 1;
            }
            7 => {
                let many = match self.random.below(20) {
                    0 => MOST_REFUSALS_AT_ONCE + 20,
                    _ => 1,
                };
                for _ in 0..many {
                    self.calls += 1;
                    self.refusals.push(self.calls);
                    self.tell(self.calls, RecordKind::Refuse, b"");
                }
            }
            8..=10 => {
                let needs = [Need::Usual, Need::Heartbeat, Need::Awaited];
                let most = if awaits { needs.len() } else { needs.len() - 1 };
                let need = needs[self.random.below(most)];
                self.send(need);
            }
            11 | 12 => self.deliver(),
            13 | 14 => {
                // What comes together may be said at once.
                let together = 1 + self.random.below(2);
                self.answer(together);
            }
            _ if self.random.below(6) == 0 => self.cut(),
            _ => {}
        }
    }

    fn send(&mut self, need: Need) {
        let batch = self.outbox.next_batch(UnixMillis(1), need, 0);
        self.ups.extend(batch.map(|up| v1::Up::decode(up).unwrap()));
        let under_way = self.ups.len() + self.downs.len();
        assert!(under_way <= MOST_UNDER_WAY);
        self.most_under_way = self.most_under_way.max(under_way);
    }

    fn deliver(&mut self) {
        if let Some(up) = self.ups.pop_front() {
            assert_eq!((up.seq, up.hello.is_some()), (self.expected, up.seq == 1));
            let bodies: usize = up.contents.iter().map(|piece| piece.piece.len()).sum();
            assert!(bodies <= MOST_CONTENTS_AT_ONCE);
            self.expected += 1;
            self.sidecar.take(&up);
            self.downs.push_back(ack(up.seq));
        }
    }

    fn answer(&mut self, together: usize) {
        let together = together.min(self.downs.len());
        let Some(down) = self.downs.drain(..together).next_back() else {
            return;
        };
        for durable in self.outbox.acknowledged(&down) {
            let call = number(&durable.record_id.0);
            let kind = match durable.kind {
                RecordKind::Admit => Some(v1::entry::Kind::Admit),
                RecordKind::Complete => Some(v1::entry::Kind::Complete),
                RecordKind::Refuse => Some(v1::entry::Kind::Refuse),
                RecordKind::Event | RecordKind::Contents => None,
            };
            let is_taken = kind.is_none_or(|kind| self.sidecar.taken.contains(&(call, kind)));
            assert!(is_taken, "what is acknowledged was not taken");
            *self.acknowledged.entry((call, durable.kind)).or_default() += 1;
        }
    }

    /// The stream breaks; some of what is under way may still be taken.
    fn cut(&mut self) {
        self.lost_with_two += usize::from(self.ups.len() + self.downs.len() == 2);
        for _ in 0..self.random.below(3) {
            self.deliver();
        }
        self.ups.clear();
        self.downs.clear();
        self.outbox.disconnected();
        self.streams = self.streams.wrapping_add(1);
        self.outbox.connected([self.streams; 16]);
        self.expected = 1;
    }

    /// Says what there is to say, to the end.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.send(Need::Usual);
            self.deliver();
            self.answer(1);
        }
        assert_eq!(self.outbox.waiting_since(), None);
        assert_eq!(self.acknowledged, self.told);
        assert_eq!(self.sidecar.admits, self.admits);
        assert_eq!(self.sidecar.refusals, self.refusals);
        assert_eq!((self.outbox.refusals, self.outbox.held_contents()), (0, 0));
    }
}

#[test]
fn every_record_is_taken_in_order_and_acknowledged_once_whatever_breaks() {
    let mut lost_with_two = 0;
    for way in 0..WAYS {
        // A worker for which nobody waits has one batch under way.
        let awaits = way % 3 > 0;
        let mut world = World::new(way + 1);
        for _ in 0..STEPS {
            world.step(awaits);
        }
        world.settle();
        assert_eq!(world.most_under_way, 1 + usize::from(awaits), "way {way}");
        lost_with_two += world.lost_with_two;
    }
    assert!(
        lost_with_two > 50,
        "{lost_with_two} streams broke with two under way"
    );
}
