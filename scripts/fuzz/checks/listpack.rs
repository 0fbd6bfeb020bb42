//! Listpacks from any bytes: refused, or read alike from both ends, and rebuilt element by element to the same elements.

use millrace::data::listpack::Listpack;

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    let mut candidate = bytes.to_vec();
    // Half of the inputs get a header and an end that fit, so that the entries are reached.
    if bytes.first().is_some_and(|first| first % 2 == 0) && candidate.len() >= 7 {
        let total = candidate.len() as u32;
        candidate[..4].copy_from_slice(&total.to_le_bytes());
        candidate[4..6].copy_from_slice(&u16::MAX.to_le_bytes());
        if let Some(last) = candidate.last_mut() {
            *last = 0xFF;
        }
    }
    let Ok(pack) = Listpack::from_bytes(candidate) else {
        return;
    };
    let forward: Vec<_> = pack.iter().map(|element| element.to_vec()).collect();
    let mut backward: Vec<_> = pack.iter().rev().map(|element| element.to_vec()).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let mut rebuilt = Listpack::new();
    for element in &forward {
        rebuilt.push_back(element);
    }
    assert!(rebuilt.iter().eq(pack.iter()));
    assert_eq!(Listpack::from_bytes(rebuilt.bytes().to_vec()), Ok(rebuilt));
}
