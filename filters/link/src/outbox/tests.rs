//! What an outbox says, and when.

use super::*;

mod random;

fn record(outbox: &mut Outbox, id: u8, kind: RecordKind) {
    outbox.record(kind, &RecordId([id; 16]), b"{}", std::iter::empty());
}

fn decode(bytes: Option<&[u8]>) -> v1::Up {
    v1::Up::decode(bytes.unwrap()).unwrap()
}

fn ack(seq: u64) -> v1::Down {
    v1::Down {
        ack: seq,
        ..v1::Down::default()
    }
}

fn open() -> Outbox {
    let mut outbox = Outbox::new([1; 16], &["audit"]);
    outbox.connected([2; 16]);
    outbox
}

#[test]
fn one_batch_is_under_way_and_the_rest_gathers() {
    let mut outbox = open();
    record(&mut outbox, 1, RecordKind::Admit);
    let first = decode(outbox.next_batch(UnixMillis(10), Need::Usual, 0));
    assert_eq!((first.seq, first.entries.len()), (1, 1));
    record(&mut outbox, 2, RecordKind::Admit);
    record(&mut outbox, 3, RecordKind::Complete);
    assert!(
        outbox
            .next_batch(UnixMillis(11), Need::Heartbeat, 0)
            .is_none()
    );
    assert_eq!(outbox.acknowledged(&ack(1)).len(), 1);
    assert_eq!(outbox.durable_at(), UnixMillis(10));
    let second = decode(outbox.next_batch(UnixMillis(12), Need::Usual, 0));
    assert_eq!(
        (second.seq, second.entries.len(), second.hello),
        (2, 2, None)
    );
}

#[test]
fn what_was_not_acknowledged_is_sent_again_first_under_a_new_holder() {
    let mut outbox = open();
    record(&mut outbox, 1, RecordKind::Admit);
    outbox.next_batch(UnixMillis(1), Need::Usual, 0);
    record(&mut outbox, 2, RecordKind::Admit);
    outbox.disconnected();
    assert!(
        outbox
            .next_batch(UnixMillis(2), Need::Heartbeat, 0)
            .is_none()
    );
    outbox.connected([3; 16]);
    let again = decode(outbox.next_batch(UnixMillis(3), Need::Usual, 7));
    let ids: Vec<u8> = again.entries.iter().map(|e| e.record_id[0]).collect();
    assert_eq!(ids, [1, 2]);
    let hello = again.hello.unwrap();
    assert_eq!(
        (hello.holder[0], hello.gone[0][0], hello.snapshot_version),
        (3, 2, 7)
    );
}

#[test]
fn a_new_stream_counts_as_heard_only_after_its_first_acknowledgement() {
    let mut outbox = open();
    outbox.next_batch(UnixMillis(10), Need::Heartbeat, 0);
    outbox.acknowledged(&ack(1));
    outbox.disconnected();
    outbox.connected([3; 16]);
    assert_eq!(outbox.durable_at(), UnixMillis(0));
}

#[test]
fn a_refused_admit_is_told_apart() {
    let mut outbox = open();
    record(&mut outbox, 1, RecordKind::Admit);
    record(&mut outbox, 2, RecordKind::Admit);
    outbox.next_batch(UnixMillis(1), Need::Usual, 0);
    let down = v1::Down {
        refused: vec![Bytes::copy_from_slice(&[2; 16])],
        ..ack(1)
    };
    let refused: Vec<bool> = outbox
        .acknowledged(&down)
        .iter()
        .map(|a| a.refused)
        .collect();
    assert_eq!(refused, [false, true]);
}

#[test]
fn an_acknowledgement_of_an_earlier_batch_frees_nothing() {
    let mut outbox = open();
    record(&mut outbox, 1, RecordKind::Admit);
    outbox.next_batch(UnixMillis(1), Need::Usual, 0);
    assert!(outbox.acknowledged(&ack(0)).is_empty());
    assert!(outbox.waiting_since().is_some());
}

#[test]
fn a_question_for_a_key_is_a_batch_and_dies_with_its_stream() {
    let mut outbox = open();
    outbox.next_batch(UnixMillis(1), Need::Heartbeat, 0);
    outbox.acknowledged(&ack(1));
    let question = v1::KeySetRequest {
        issuer: "i".into(),
        kid: "k".into(),
    };
    outbox.request_key_set(question.clone());
    let up = decode(outbox.next_batch(UnixMillis(2), Need::Usual, 0));
    assert_eq!(up.key_set_requests, std::slice::from_ref(&question));
    outbox.acknowledged(&ack(2));
    outbox.request_key_set(question);
    outbox.disconnected();
    outbox.connected([3; 16]);
    let up = decode(outbox.next_batch(UnixMillis(3), Need::Heartbeat, 0));
    assert!(up.key_set_requests.is_empty());
}

#[test]
fn refusals_are_bounded_while_nobody_listens_and_calls_are_not() {
    let mut outbox = Outbox::new([1; 16], &[]);
    for _ in 0..MOST_REFUSALS + 5 {
        record(&mut outbox, 1, RecordKind::Refuse);
        record(&mut outbox, 1, RecordKind::Complete);
    }
    outbox.connected([2; 16]);
    let up = decode(outbox.next_batch(UnixMillis(1), Need::Usual, 0));
    assert_eq!(up.refusals_dropped, 5);
    // Calls go at once, refusals bit by bit.
    assert_eq!(up.entries.len(), MOST_REFUSALS + 5 + MOST_REFUSALS_AT_ONCE);
}

#[test]
fn bodies_go_bit_by_bit_and_the_end_of_a_call_after_all_of_its_own() {
    let mut outbox = open();
    let piece = vec![b'p'; MOST_CONTENTS_AT_ONCE / 4];
    for (id, pieces) in [(1, 3), (2, 3)] {
        record(&mut outbox, id, RecordKind::Admit);
        for number in 0..pieces {
            outbox.contents(&RecordId([id; 16]), Half::Response, number, &piece);
        }
        record(&mut outbox, id, RecordKind::Complete);
    }
    record(&mut outbox, 3, RecordKind::Admit);
    let held = outbox.held_contents();
    assert!(held > 6 * piece.len());
    // The first batch is lost with its stream.
    let lost = outbox
        .next_batch(UnixMillis(1), Need::Usual, 0)
        .unwrap()
        .len();
    assert!(lost < MOST_CONTENTS_AT_ONCE + 1024);
    outbox.disconnected();
    assert_eq!(outbox.held_contents(), held);
    outbox.connected([3; 16]);
    let mut told: Vec<(u8, u32)> = Vec::new();
    let mut ends = Vec::new();
    for seq in 1..=3 {
        let Some(up) = outbox.next_batch(UnixMillis(1), Need::Usual, 0) else {
            break;
        };
        assert!(up.len() < MOST_CONTENTS_AT_ONCE + 1024);
        let up = v1::Up::decode(up).unwrap();
        told.extend(up.contents.iter().map(|c| (c.record_id[0], c.number)));
        for entry in up.entries {
            let (id, kind) = (entry.record_id[0], entry.kind());
            if kind == v1::entry::Kind::Complete {
                let whole = told.iter().filter(|(of, _)| *of == id).count();
                assert_eq!(whole, 3, "the end of {id} came before its bodies");
                ends.push(id);
            } else {
                assert_eq!(seq, 1, "an admit had to wait");
            }
        }
        outbox.acknowledged(&ack(seq));
    }
    assert_eq!(told, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    assert_eq!((ends, outbox.held_contents()), (vec![1, 2], 0));
}

#[test]
fn many_refusals_go_in_several_batches_in_their_order_and_none_is_lost() {
    let mut outbox = open();
    let many = 2 * MOST_REFUSALS_AT_ONCE + 10;
    for number in 0..many {
        let (id, number) = (RecordId([1; 16]), number.to_be_bytes());
        outbox.record(RecordKind::Refuse, &id, &number, std::iter::empty());
    }
    record(&mut outbox, 7, RecordKind::Admit);
    let is_refusal = |entry: &v1::Entry| entry.kind() == v1::entry::Kind::Refuse;
    // The first batch is lost with its stream.
    let lost = decode(outbox.next_batch(UnixMillis(1), Need::Usual, 0));
    let admit = lost.entries.iter().find(|entry| !is_refusal(entry));
    assert_eq!(admit.unwrap().record_id[0], 7);
    outbox.disconnected();
    outbox.connected([3; 16]);
    let mut told = Vec::new();
    for seq in 1..=3 {
        let up = decode(outbox.next_batch(UnixMillis(1), Need::Usual, 0));
        assert!(up.entries.len() <= MOST_REFUSALS_AT_ONCE + 1);
        let refusals = up.entries.into_iter().filter(is_refusal);
        told.extend(refusals.map(|entry| entry.record.to_vec()));
        outbox.acknowledged(&ack(seq));
    }
    let all = (0..many).map(|number| number.to_be_bytes().to_vec());
    assert_eq!(told, all.collect::<Vec<_>>());
    assert_eq!(outbox.next_batch(UnixMillis(1), Need::Usual, 0), None);
}

/// A stream whose first batch, which introduces it, is acknowledged.
fn introduced() -> Outbox {
    let mut outbox = open();
    outbox.next_batch(UnixMillis(1), Need::Heartbeat, 0);
    outbox.acknowledged(&ack(1));
    outbox
}

/// The next batch's number and the calls that it tells of.
fn next(outbox: &mut Outbox, need: Need) -> Option<(u64, Vec<u8>)> {
    let up = v1::Up::decode(outbox.next_batch(UnixMillis(9), need, 0)?).unwrap();
    let ids = up.entries.iter().map(|entry| entry.record_id[0]);
    Some((up.seq, ids.collect()))
}

#[test]
fn a_second_batch_goes_behind_the_first_only_where_somebody_waits() {
    let mut outbox = introduced();
    record(&mut outbox, 1, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Usual), Some((2, vec![1])));
    assert_eq!(next(&mut outbox, Need::Awaited), None, "there is nothing");
    record(&mut outbox, 2, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Usual), None);
    assert_eq!(next(&mut outbox, Need::Heartbeat), None);
    assert_eq!(next(&mut outbox, Need::Awaited), Some((3, vec![2])));
    record(&mut outbox, 3, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), None, "two are enough");
    assert_eq!(outbox.acknowledged(&ack(2)).len(), 1);
    assert_eq!(next(&mut outbox, Need::Usual), None, "one is under way");
    assert_eq!(next(&mut outbox, Need::Awaited), Some((4, vec![3])));
}

#[test]
fn nothing_goes_behind_the_batch_that_introduces_a_stream() {
    let mut outbox = open();
    record(&mut outbox, 1, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), Some((1, vec![1])));
    record(&mut outbox, 2, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), None);
    outbox.acknowledged(&ack(1));
    assert_eq!(next(&mut outbox, Need::Awaited), Some((2, vec![2])));
    record(&mut outbox, 3, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), Some((3, vec![3])));
    outbox.disconnected();
    outbox.connected([3; 16]);
    assert_eq!(next(&mut outbox, Need::Usual), Some((1, vec![2, 3])));
    record(&mut outbox, 4, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), None);
}

/// Two batches under way that were sent at 10 and 20.
fn two_under_way() -> Outbox {
    let mut outbox = introduced();
    for (id, at) in [(1, 10), (2, 20)] {
        record(&mut outbox, id, RecordKind::Admit);
        let batch = outbox.next_batch(UnixMillis(at), Need::Awaited, 0);
        assert!(batch.is_some());
    }
    outbox
}

fn named(durable: &[Acknowledged]) -> Vec<(u8, bool)> {
    let named = durable.iter().map(|one| (one.record_id.0[0], one.refused));
    named.collect()
}

#[test]
fn an_acknowledgement_of_the_first_leaves_the_second() {
    let mut outbox = two_under_way();
    assert_eq!(outbox.waiting_since(), Some(UnixMillis(10)));
    let down = v1::Down {
        // Only what it acknowledges can be refused by it.
        refused: vec![Bytes::copy_from_slice(&[2; 16])],
        ..ack(2)
    };
    assert_eq!(named(&outbox.acknowledged(&down)), [(1, false)]);
    assert_eq!(outbox.durable_at(), UnixMillis(10));
    assert_eq!(outbox.waiting_since(), Some(UnixMillis(20)));
    let down = v1::Down {
        refused: vec![Bytes::copy_from_slice(&[2; 16])],
        ..ack(3)
    };
    assert_eq!(named(&outbox.acknowledged(&down)), [(2, true)]);
    assert_eq!(
        (outbox.durable_at(), outbox.waiting_since()),
        (UnixMillis(20), None)
    );
}

#[test]
fn an_acknowledgement_of_the_second_is_one_of_both() {
    let mut outbox = two_under_way();
    let down = v1::Down {
        refused: vec![Bytes::copy_from_slice(&[1; 16])],
        ..ack(3)
    };
    assert_eq!(named(&outbox.acknowledged(&down)), [(1, true), (2, false)]);
    assert_eq!(
        (outbox.durable_at(), outbox.waiting_since()),
        (UnixMillis(20), None)
    );
}

#[test]
fn both_that_were_lost_are_sent_again_in_their_order_before_what_gathered() {
    let mut outbox = introduced();
    for id in [1, 2, 3] {
        record(&mut outbox, id, RecordKind::Admit);
        record(&mut outbox, id, RecordKind::Refuse);
        outbox.contents(&RecordId([id; 16]), Half::Response, 0, &[id]);
        let goes = outbox.next_batch(UnixMillis(2), Need::Awaited, 0).is_some();
        assert_eq!(goes, id < 3);
    }
    let held = outbox.held_contents();
    outbox.disconnected();
    assert_eq!((outbox.refusals, outbox.held_contents()), (3, held));
    for _ in 3..MOST_REFUSALS {
        record(&mut outbox, 4, RecordKind::Refuse);
    }
    record(&mut outbox, 5, RecordKind::Refuse);
    outbox.connected([3; 16]);
    let again = decode(outbox.next_batch(UnixMillis(3), Need::Awaited, 0));
    assert_eq!((again.seq, again.refusals_dropped), (1, 1));
    let ids: Vec<u8> = again.entries.iter().map(|e| e.record_id[0]).collect();
    assert_eq!(ids[..6], [1, 1, 2, 2, 3, 3]);
    assert!(ids[6..].iter().all(|id| *id == 4));
    let pieces: Vec<u8> = again.contents.iter().map(|c| c.piece[0]).collect();
    assert_eq!(pieces, [1, 2, 3]);
    outbox.acknowledged(&ack(1));
    assert_eq!(outbox.held_contents(), 0);
}

#[test]
fn dropped_refusals_of_a_batch_that_was_lost_are_told_of_again() {
    let mut outbox = open();
    outbox.disconnected();
    for _ in 0..MOST_REFUSALS + 2 {
        record(&mut outbox, 1, RecordKind::Refuse);
    }
    outbox.connected([3; 16]);
    outbox.next_batch(UnixMillis(1), Need::Usual, 0);
    outbox.disconnected();
    outbox.connected([4; 16]);
    let again = decode(outbox.next_batch(UnixMillis(1), Need::Usual, 0));
    assert_eq!(again.refusals_dropped, 2);
}

#[test]
fn what_is_too_much_for_one_batch_is_not_sent_in_two_at_once() {
    let mut outbox = introduced();
    let piece = vec![b'p'; MOST_CONTENTS_AT_ONCE / 3];
    for number in 0..3 {
        outbox.contents(&RecordId([1; 16]), Half::Response, number, &piece);
    }
    assert_eq!(next(&mut outbox, Need::Awaited), Some((2, vec![])));
    record(&mut outbox, 2, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), None, "more bodies wait");
    outbox.acknowledged(&ack(2));
    assert_eq!(next(&mut outbox, Need::Awaited), Some((3, vec![2])));
    // These are less than a batch may bring, also together.
    record(&mut outbox, 3, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), Some((4, vec![3])));

    let mut outbox = introduced();
    record(&mut outbox, 1, RecordKind::Admit);
    assert_eq!(next(&mut outbox, Need::Awaited), Some((2, vec![1])));
    for _ in 0..=MOST_REFUSALS_AT_ONCE {
        record(&mut outbox, 2, RecordKind::Refuse);
    }
    assert_eq!(next(&mut outbox, Need::Awaited), None);
}
