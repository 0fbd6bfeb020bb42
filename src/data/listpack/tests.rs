#![allow(clippy::unwrap_used, reason = "tests")]
//! Listpacks against a vector of byte strings, and against bytes that Redis wrote.

use super::entry::backlen_bytes;
use super::*;
use proptest::prelude::*;

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<i64>().prop_map(|v| v.to_string().into_bytes()),
        2 => (-5000i64..5000).prop_map(|v| v.to_string().into_bytes()),
        1 => (0u32..64, any::<bool>()).prop_map(|(shift, up)| ((1i64 << shift.min(62)) - i64::from(up)).to_string().into_bytes()),
        3 => proptest::collection::vec(any::<u8>(), 0..80),
        1 => (0usize..6000).prop_map(|n| vec![b'x'; n]),
        1 => Just(vec![b'y'; 20000]),
        1 => "-?[0-9]{1,21}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(256))]
    #[test]
    fn a_pack_behaves_as_a_vector(elements in proptest::collection::vec(element(), 0..60)) {
        let (mut pack, mut model) = (Listpack::new(), Vec::new());
        for element in elements {
            pack.push_back(&element);
            model.push(element);
            prop_assert_eq!(usize::from(pack.counted()), model.len());
            prop_assert_eq!(pack.iter().map(|e| e.to_vec()).collect::<Vec<_>>(), model.clone());
            prop_assert_eq!(pack.iter().rev().map(|e| e.to_vec()).collect::<Vec<_>>(), model.iter().rev().cloned().collect::<Vec<_>>());
            prop_assert_eq!(Listpack::from_bytes(pack.bytes().to_vec()), Ok(pack.clone()));
        }
        for (element, expected) in pack.iter().zip(&model) {
            prop_assert!(element == *expected.as_slice());
        }
    }

    #[test]
    fn an_integer_is_what_prints_back(bytes in element()) {
        let expected = std::str::from_utf8(&bytes).ok().and_then(|t| t.parse::<i64>().ok()).filter(|v| v.to_string().as_bytes() == bytes);
        prop_assert_eq!(parse_integer(&bytes), expected);
    }

    #[test]
    fn strange_bytes_are_refused_or_valid(bytes in proptest::collection::vec(any::<u8>(), 0..40), header in any::<bool>()) {
        let mut bytes = bytes;
        if header && bytes.len() > HEADER_BYTES {
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
            bytes[4..6].copy_from_slice(&u16::MAX.to_le_bytes());
            *bytes.last_mut().unwrap() = TERMINATOR;
        }
        if let Ok(pack) = Listpack::from_bytes(bytes) {
            prop_assert_eq!(pack.iter().count(), pack.iter().rev().count());
        }
    }
}

#[test]
fn bytes_are_those_of_redis() {
    let mut pack = Listpack::new();
    for element in [
        "0",
        "127",
        "128",
        "-1",
        "-4096",
        "4096",
        "-32768",
        "32768",
        "2147483647",
        "-2147483649",
        "01",
        "",
        "ab",
    ] {
        pack.push_back(element.as_bytes());
    }
    let body: &[u8] = &[
        0, 1, 127, 1, 0xC0, 128, 2, 0xDF, 0xFF, 2, 0xD0, 0, 2, 0xF1, 0, 16, 3, 0xF1, 0, 128, 3,
        0xF2, 0, 128, 0, 4, 0xF3, 255, 255, 255, 127, 5, 0xF4, 255, 255, 255, 127, 255, 255, 255,
        255, 9, 0x82, b'0', b'1', 3, 0x80, 1, 0x82, b'a', b'b', 3,
    ];
    assert_eq!(&pack.bytes()[HEADER_BYTES..pack.end()], body);
    assert_eq!(
        &pack.bytes()[..HEADER_BYTES],
        &[body.len() as u8 + 7, 0, 0, 0, 13, 0]
    );
}

#[test]
fn more_elements_than_the_header_counts() {
    let mut pack = Listpack::new();
    for i in 0..70_000 {
        pack.push_back(i.to_string().as_bytes());
    }
    assert_eq!(pack.counted(), COUNT_UNKNOWN);
    assert_eq!(pack.iter().count(), 70_000);
    assert_eq!(pack.iter().next_back(), Some(Element::Int(69_999)));
    assert_eq!(Listpack::from_bytes(pack.bytes().to_vec()), Ok(pack));
}

#[test]
fn backlens_change_width_where_redis_changes_it() {
    for body in [
        127,
        128,
        16_382,
        16_383,
        2_097_150,
        2_097_151,
        268_435_454,
        268_435_455,
    ] {
        let (bytes, length) = backlen(body);
        let mut buffer = vec![0; body];
        buffer.extend_from_slice(&bytes[..length]);
        assert_eq!(entry_before(&buffer, buffer.len()), 0);
    }
    assert_eq!([127, 128, 16_382, 16_383].map(backlen_bytes), [1, 2, 2, 3]);
}
