#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// As Redis has it by default.
const SPARSE_BYTES_MAX: usize = 3000;

/// The numbers of all registers and nothing else.
#[derive(Clone)]
struct Twin(Vec<u8>);

impl Twin {
    fn raise(&mut self, trace: Trace) -> bool {
        let old = &mut self.0[trace.register];
        let is_higher = trace.number > *old;
        *old = trace.number.max(*old);
        is_higher
    }
}

fn registers_of(sketch: &Sketch) -> Registers {
    let mut registers = Registers::default();
    stored(sketch).merge_into(&mut registers).unwrap();
    registers
}

fn stored(sketch: &Sketch) -> StoredSketch<'_> {
    StoredSketch::of(&sketch.bytes).unwrap()
}

#[derive(Clone, Debug)]
enum Operation {
    Raise(usize, u8),
    Add(Vec<u8>),
    MakeDense,
    Merge(Vec<(usize, u8)>),
}

fn number() -> impl Strategy<Value = u8> {
    prop_oneof![20 => 1..4_u8, 3 => 1..33_u8, 1 => 33..52_u8]
}

/// Registers that meet.
fn register() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..24_usize,
        2 => REGISTER_COUNT - 12..REGISTER_COUNT,
        2 => (0..40_usize).prop_map(|at| 64 + at),
        1 => 0..REGISTER_COUNT,
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        30 => (register(), number()).prop_map(|(register, number)| Operation::Raise(register, number)),
        10 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Operation::Add),
        1 => Just(Operation::MakeDense),
        2 => proptest::collection::vec((register(), number()), 0..40).prop_map(Operation::Merge),
    ]
}

/// No two neighbours could be one, unless they were never looked at: each was made by a change, which looks at both sides.
fn assert_is_canonical(sketch: &Sketch) {
    let runs: Vec<Run> = stored(sketch).runs().collect();
    let total: usize = runs
        .iter()
        .map(|run| match run {
            Run::ShortZeros(len) | Run::LongZeros(len) | Run::Numbers { len, .. } => *len,
        })
        .sum();
    assert_eq!(total, REGISTER_COUNT);
}

proptest! {
    #![proptest_config(crate::property::cases(200))]

    #[test]
    fn a_sketch_has_the_registers_of_its_twin(
        operations in proptest::collection::vec(operation(), 0..150),
        sparse_bytes_max in prop_oneof![Just(SPARSE_BYTES_MAX), Just(0), 16..80_usize],
    ) {
        let mut sketch = Sketch::empty(sparse_bytes_max);
        let mut twin = Twin(vec![0; REGISTER_COUNT]);
        for operation in operations {
            let size = sketch.bytes.len();
            let was_dense = sketch.encoding() == Encoding::Dense;
            match operation {
                Operation::Raise(register, number) => {
                    let trace = Trace { register, number };
                    prop_assert_eq!(sketch.raise(trace).unwrap(), twin.raise(trace));
                }
                Operation::Add(element) => {
                    let trace = Trace::of(&element);
                    prop_assert_eq!(sketch.raise(trace).unwrap(), twin.raise(trace));
                }
                Operation::MakeDense => prop_assert_eq!(sketch.make_dense().unwrap(), !was_dense),
                Operation::Merge(others) => {
                    let mut registers = Registers::default();
                    let mut one_by_one = sketch.clone();
                    for (register, number) in others {
                        registers.raise(register, number);
                        twin.raise(Trace { register, number });
                    }
                    for (register, number) in registers.iter().enumerate() {
                        if number > 0 {
                            one_by_one.raise(Trace { register, number }).unwrap();
                        }
                    }
                    sketch.raise_all(&registers).unwrap();
                    // To go on from the last place is only a shorter way to the same bytes.
                    prop_assert_eq!(&sketch.bytes, &one_by_one.bytes);
                }
            }
            match sketch.encoding() {
                Encoding::Sparse => {
                    assert_is_canonical(&sketch);
                    prop_assert!(sketch.bytes.len() <= sparse_bytes_max.max(size));
                }
                Encoding::Dense => prop_assert_eq!(sketch.bytes.len(), DENSE_BYTES),
            }
            let registers = registers_of(&sketch);
            prop_assert!(registers.iter().eq(twin.0.iter().copied()));
            prop_assert_eq!(stored(&sketch).count().unwrap(), registers.count());
        }
    }

    #[test]
    fn strange_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..60), register in register(), number in number()) {
        let mut sketch = MAGIC.to_vec();
        sketch.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        sketch.extend(bytes);
        let stored = StoredSketch::of(&sketch).unwrap();
        let counted = stored.count();
        let merged = stored.merge_into(&mut Registers::default());
        if counted.is_ok() {
            prop_assert_eq!(merged, Ok(()));
        }
        let mut copy = Sketch::copy_of(stored, SPARSE_BYTES_MAX).unwrap();
        prop_assert_eq!(copy.clone().make_dense().is_ok(), merged.is_ok());
        if copy.raise(Trace { register, number }).is_ok() && merged.is_ok() {
            prop_assert!(copy.make_dense().is_ok());
        }
    }
}

#[test]
fn the_header_says_what_is_a_sketch() {
    let empty = Sketch::empty(SPARSE_BYTES_MAX).into_bytes();
    assert_eq!(empty, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert!(StoredSketch::of(&empty).is_some());
    for at in 0..5 {
        let mut other = empty.clone();
        other[at] ^= 2;
        assert!(StoredSketch::of(&other).is_none());
    }
    assert!(StoredSketch::of(&empty[..HEADER_BYTES]).is_some());
    assert!(StoredSketch::of(&empty[..HEADER_BYTES - 1]).is_none());
    let mut dense = empty;
    dense[ENCODING_AT] = 0;
    assert!(StoredSketch::of(&dense).is_none());
    dense.resize(DENSE_BYTES, 0);
    assert!(StoredSketch::of(&dense).is_some());
}

#[test]
fn a_count_is_cached_until_it_is_forgotten() {
    let mut bytes = Sketch::empty(SPARSE_BYTES_MAX).into_bytes();
    let cached = |bytes: &[u8]| StoredSketch::of(bytes).unwrap().cached_count();
    assert_eq!(cached(&bytes), Some(0));
    cache_count(&mut bytes, 0x0102_0304);
    assert_eq!(cached(&bytes), Some(0x0102_0304));
    forget_count(&mut bytes);
    assert_eq!(cached(&bytes), None);
}

#[test]
fn registers_that_no_elements_leave_are_counted_as_in_redis() {
    let mut bytes = vec![0xff; DENSE_BYTES];
    bytes[..HEADER_BYTES].copy_from_slice(b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80");
    assert_eq!(StoredSketch::of(&bytes).unwrap().count(), Ok(1 << 63));
}

#[test]
fn a_sparse_sketch_longer_than_any_is_refused() {
    let mut bytes = Sketch::empty(SPARSE_BYTES_MAX).into_bytes();
    bytes.resize(HEADER_BYTES + sparse::BYTES_MAX + 1, 0x80);
    let long = StoredSketch::of(&bytes).unwrap();
    assert_eq!(
        Sketch::copy_of(long, usize::MAX).map(|_| ()),
        Err(Corrupted)
    );
    assert_eq!(long.count(), Err(Corrupted));
    assert_eq!(long.merge_into(&mut Registers::default()), Ok(()));
}

#[test]
fn the_self_test_passes() {
    for seed in 0..3 {
        assert_eq!(self_test(seed, SPARSE_BYTES_MAX), Ok(()));
    }
}
