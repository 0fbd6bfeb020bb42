//! Blocks whose elements are written in any way that a listpack allows, against the same blocks as they are written here.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::data::listpack::Listpack;

const LIMITS: BlockLimits = BlockLimits {
    bytes_max: 1 << 20,
    entries_max: 100,
};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    fields
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
}

fn id(number: usize) -> StreamId {
    StreamId {
        ms: 5 + number as u64 * 100,
        seq: 3,
    }
}

/// A block with these entries, of which each that is so marked is deleted.
fn block(entries: &[(Fields, bool)]) -> Block {
    let (first, _) = &entries[0];
    let names = first.iter().map(|(name, _)| name.as_slice());
    let mut block = Block::open(id(0), names, first.len(), true, LIMITS);
    for (number, (fields, _)) in entries.iter().enumerate() {
        block.append(id(number), pairs(fields), fields.len());
    }
    for (number, _) in entries.iter().enumerate().filter(|(_, entry)| entry.1) {
        delete(&mut block, id(number));
    }
    block
}

/// Deletes an entry that is there; gives whether it was.
fn delete(block: &mut Block, id: StreamId) -> bool {
    match block.find(id) {
        Some((_, head)) if !head.deleted => {
            block.mark_deleted(&[head.at]);
            true
        }
        _ => false,
    }
}

/// An entry of a listpack, its length behind it. Source: the listpack specification.
fn push(pack: &mut Vec<u8>, body: &[u8]) {
    pack.extend_from_slice(body);
    match body.len() {
        length @ 0..=127 => pack.push(length as u8),
        length @ 128..=16_382 => {
            pack.extend_from_slice(&[(length >> 7) as u8, length as u8 & 0x7F | 0x80]);
        }
        length => pack.extend_from_slice(&[
            (length >> 14) as u8,
            (length >> 7) as u8 & 0x7F | 0x80,
            length as u8 & 0x7F | 0x80,
        ]),
    }
}

/// All ways to write a text.
fn texts(text: &[u8]) -> Vec<Vec<u8>> {
    let length = text.len();
    let mut ways = vec![[b"\xF0", &(length as u32).to_le_bytes()[..], text].concat()];
    if length < 64 {
        ways.push([&[0x80 | length as u8], text].concat());
    }
    if length < 4096 {
        ways.push([&[0xE0 | (length >> 8) as u8, length as u8], text].concat());
    }
    ways
}

/// All ways to write an element.
fn ways(element: &Element<'_>) -> Vec<Vec<u8>> {
    let Element::Int(value) = *element else {
        return texts(&element.to_vec());
    };
    let mut ways = texts(value.to_string().as_bytes());
    let wide = value.to_le_bytes();
    for (mark, width) in [(0xF1, 2), (0xF2, 3), (0xF3, 4), (0xF4, 8)] {
        let unused = 64 - 8 * width as u32;
        if value << unused >> unused == value {
            ways.push([&[mark], &wide[..width]].concat());
        }
    }
    if (-4096..4096).contains(&value) {
        ways.push(vec![0xC0 | wide[1] & 0x1F, wide[0]]);
    }
    if (0..128).contains(&value) {
        ways.push(vec![wide[0]]);
    }
    ways
}

/// The same block, its elements written as the picks say.
fn written_otherwise(bytes: &[u8], picks: &[usize]) -> Vec<u8> {
    let own = Listpack::from_bytes(bytes.to_vec()).unwrap();
    let mut pack = vec![0; HEADER_BYTES];
    let mut count = 0_u16;
    for (element, pick) in own.iter().zip(picks.iter().cycle()) {
        let ways = ways(&element);
        push(&mut pack, &ways[pick % ways.len()]);
        count += 1;
    }
    pack.push(TERMINATOR);
    let total = pack.len() as u32;
    pack[..4].copy_from_slice(&total.to_le_bytes());
    pack[4..6].copy_from_slice(&count.to_le_bytes());
    pack
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"f".to_vec()),
        Just(b"-129".to_vec()),
        Just(b"007".to_vec()),
        (-300_i64..300).prop_map(|number| number.to_string().into_bytes()),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..200),
        (0_usize..20_000).prop_map(|length| vec![b'x'; length]),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    prop_oneof![
        2 => text().prop_map(|value| vec![(b"f".to_vec(), value)]),
        1 => proptest::collection::vec((text(), text()), 1..4),
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(100))]

    #[test]
    fn a_block_is_taken_over_however_its_elements_are_written(
        entries in proptest::collection::vec((fields(), any::<bool>()), 1..150),
        picks in proptest::collection::vec(any::<usize>(), 1..50),
        deleted in proptest::collection::vec(0_usize..150, 0..20),
        more in fields(),
    ) {
        let mut own = block(&entries);
        let foreign = written_otherwise(own.bytes(), &picks);
        let mut taken = Block::from_foreign(own.master, &foreign, None).unwrap();
        prop_assert_eq!(taken.bytes(), own.bytes());
        prop_assert_eq!((taken.live, taken.deleted), (own.live, own.deleted));
        let shared = taken.clone();
        for number in deleted {
            prop_assert_eq!(delete(&mut taken, id(number)), delete(&mut own, id(number)));
            prop_assert_eq!(taken.bytes(), own.bytes());
        }
        for block in [&mut taken, &mut own] {
            block.append(id(1000), pairs(&more), more.len());
        }
        prop_assert_eq!(taken.bytes(), own.bytes());
        let before = block(&entries);
        prop_assert_eq!(shared.bytes(), before.bytes());
    }
}

#[test]
fn a_deletion_in_a_block_with_texts_and_wide_numbers_is_one() {
    let entry = |value: &str| (vec![(b"f".to_vec(), value.into())], false);
    let own = block(&[entry("v"), entry("w")]);
    for pick in 0..9 {
        let foreign = written_otherwise(own.bytes(), &[pick]);
        let mut taken = Block::from_foreign(own.master, &foreign, None).unwrap();
        assert!(delete(&mut taken, id(0)) && !delete(&mut taken, id(0)));
        let again = Block::from_foreign(own.master, taken.bytes(), None).unwrap();
        assert_eq!((again.live, again.deleted), (1, 1));
    }
}
