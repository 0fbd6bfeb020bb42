#![allow(clippy::unwrap_used, reason = "tests")]
//! Lists against a deque of byte strings, with every limit, and clones that must not change.

use std::collections::VecDeque;

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Operation {
    Push(End, Vec<Vec<u8>>),
    Pop(End, usize),
    Set(usize, Vec<u8>),
    Insert(Side, usize, Vec<u8>),
    Remove(usize, usize, bool),
    RemoveRange(usize, usize),
    Range(usize, usize),
    Clone,
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..5).prop_map(|n| n.to_string().into_bytes()),
        3 => (0usize..40).prop_map(|n| vec![b'x'; n]),
        3 => (500usize..1500).prop_map(|n| vec![b'y'; n]),
        1 => (4000usize..4200).prop_map(|n| vec![b'z'; n]),
        1 => (8000usize..10_000).prop_map(|n| vec![b'w'; n]),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    let side = prop_oneof![Just(Side::Before), Just(Side::After)];
    prop_oneof![
        6 => (end(), proptest::collection::vec(element(), 1..8)).prop_map(|(end, elements)| Operation::Push(end, elements)),
        2 => (end(), 1usize..6).prop_map(|(end, count)| Operation::Pop(end, count)),
        3 => (any::<usize>(), element()).prop_map(|(index, element)| Operation::Set(index, element)),
        4 => (side, any::<usize>(), element()).prop_map(|(side, pivot, element)| Operation::Insert(side, pivot, element)),
        1 => (any::<usize>(), 1usize..4, any::<bool>()).prop_map(|(index, limit, back)| Operation::Remove(index, limit, back)),
        1 => (any::<usize>(), 0usize..12).prop_map(|(start, count)| Operation::RemoveRange(start, count)),
        1 => (any::<usize>(), 0usize..12).prop_map(|(start, count)| Operation::Range(start, count)),
        1 => Just(Operation::Clone),
    ]
}

fn limits() -> impl Strategy<Value = ListLimits> {
    let chunk_limit =
        prop_oneof![2 => Just(-1), 1 => Just(-2), 1 => Just(-6), 2 => 0i32..6, 1 => Just(1000)];
    let packed_bytes_max = prop_oneof![3 => Just(0usize), 1 => Just(1), 1 => Just(30)];
    (chunk_limit, packed_bytes_max).prop_map(|(chunk_limit, packed_bytes_max)| ListLimits {
        chunk_limit,
        packed_bytes_max,
    })
}

type Model = VecDeque<Vec<u8>>;

fn contents(list: &List) -> Model {
    list.iter().map(|element| element.to_vec()).collect()
}

fn check_invariants(list: &List) {
    if let Body::Large(chunks) = &list.body {
        assert_eq!(
            chunks.len,
            chunks.nodes.iter().map(Node::count).sum::<usize>()
        );
        assert!(
            chunks.nodes.iter().all(|node| node.count() > 0),
            "an empty chunk"
        );
        let inner = chunks.nodes.len().saturating_sub(2);
        assert!(
            chunks
                .nodes
                .iter()
                .skip(1)
                .take(inner)
                .all(|node| !matches!(node, Node::Open(_))),
            "an open chunk between others"
        );
    }
}

fn apply(list: &mut List, model: &mut Model, operation: Operation, limits: &ListLimits) {
    match operation {
        Operation::Push(end, elements) => {
            list.before_adding(elements.iter().map(Vec::len).sum(), elements.len(), limits);
            for element in elements {
                list.push(end, &element, limits);
                match end {
                    End::Front => model.push_front(element),
                    End::Back => model.push_back(element),
                }
            }
        }
        Operation::Pop(end, count) => {
            for _ in 0..count {
                let seen = list.peek(end).map(|element| element.to_vec());
                assert_eq!(list.pop(end), seen.is_some());
                let expected = if end == End::Front {
                    model.pop_front()
                } else {
                    model.pop_back()
                };
                assert_eq!(seen, expected);
            }
            list.after_removing(limits);
        }
        Operation::Clone => {}
        Operation::Range(start, count) => {
            let start = start % (model.len() + 2);
            let range: Vec<_> = list
                .range(start, count)
                .map(|element| element.to_vec())
                .collect();
            assert_eq!(
                range,
                model
                    .iter()
                    .skip(start)
                    .take(count)
                    .cloned()
                    .collect::<Vec<_>>()
            );
        }
        _ if model.is_empty() => {}
        Operation::Set(index, element) => {
            let index = index % model.len();
            list.before_adding(element.len(), 1, limits);
            assert!(list.set(index, &element, limits));
            list.after_removing(limits);
            model[index] = element;
        }
        Operation::Insert(side, pivot, element) => {
            let pivot = model[pivot % model.len()].clone();
            list.before_adding(element.len(), 1, limits);
            assert!(list.insert(side, &pivot, &element, limits));
            let at = model.iter().position(|e| *e == pivot).unwrap();
            model.insert(at + usize::from(side == Side::After), element);
        }
        Operation::Remove(index, limit, from_back) => {
            let wanted = model[index % model.len()].clone();
            let mut places: Vec<_> = (0..model.len()).filter(|i| model[*i] == wanted).collect();
            if from_back {
                places.reverse();
            }
            places.truncate(limit);
            assert_eq!(list.remove(&wanted, limit, from_back), places.len());
            places.sort_unstable();
            places.iter().rev().for_each(|i| drop(model.remove(*i)));
            list.after_removing(limits);
        }
        Operation::RemoveRange(start, count) => {
            let start = start % model.len();
            let end = model.len().min(start + count);
            assert_eq!(list.remove_range(start, count), end - start);
            model.drain(start..end);
            list.after_removing(limits);
        }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(400))]
    #[test]
    fn a_list_behaves_as_a_deque(operations in proptest::collection::vec(operation(), 0..60), limits in limits()) {
        let (mut list, mut model) = (List::new(), Model::new());
        let mut clones = Vec::new();
        for operation in operations {
            if matches!(operation, Operation::Clone) {
                clones.push((list.clone(), model.clone()));
            }
            apply(&mut list, &mut model, operation, &limits);
            check_invariants(&list);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(&contents(&list), &model);
            let backward: Vec<_> = list.iter_back().map(|element| element.to_vec()).collect();
            prop_assert_eq!(backward, model.iter().rev().cloned().collect::<Vec<_>>());
        }
        for (list, model) in clones {
            prop_assert_eq!(contents(&list), model);
        }
        for (index, expected) in model.iter().enumerate() {
            prop_assert!(list.get(index).unwrap() == *expected.as_slice());
        }
        prop_assert!(list.get(model.len()).is_none());
    }
}

fn push(list: &mut List, element: &[u8], limits: &ListLimits) {
    list.before_adding(element.len(), 1, limits);
    list.push(End::Back, element, limits);
}

#[test]
fn a_list_is_small_up_to_its_limit_and_again_at_half_of_it() {
    let limits = ListLimits {
        chunk_limit: 4,
        packed_bytes_max: 0,
    };
    let mut list = List::new();
    for (index, encoding) in [
        "listpack",
        "listpack",
        "listpack",
        "listpack",
        "quicklist",
        "quicklist",
    ]
    .into_iter()
    .enumerate()
    {
        push(&mut list, index.to_string().as_bytes(), &limits);
        assert_eq!(list.encoding(), encoding);
    }
    for encoding in ["quicklist", "quicklist", "quicklist", "listpack"] {
        list.pop(End::Front);
        list.after_removing(&limits);
        assert_eq!(list.encoding(), encoding, "{} left", list.len());
    }
}

#[test]
fn limits_in_bytes_count_the_listpack() {
    let limits = ListLimits {
        chunk_limit: -1,
        packed_bytes_max: 0,
    };
    let mut list = List::new();
    push(&mut list, &[b'x'; 4096 - 7], &limits);
    assert_eq!(list.encoding(), "listpack");
    let mut list = List::new();
    push(&mut list, &[b'x'; 4096 - 6], &limits);
    assert_eq!((list.encoding(), list.chunk_count()), ("quicklist", 1));
}

#[test]
fn a_long_list_is_cloned_by_sharing() {
    let limits = ListLimits::default();
    let mut list = List::new();
    for _ in 0..10_000 {
        push(&mut list, &[b'x'; 100], &limits);
    }
    assert!(
        list.heap_bytes() <= 105 * 10_000,
        "{} bytes an element",
        list.heap_bytes() / 10_000
    );
    let clone = list.clone();
    list.set(5000, b"y", &limits);
    assert!(clone.get(5000).unwrap() == [b'x'; 100][..]);
    let Body::Large(chunks) = &clone.body else {
        panic!("large")
    };
    let Body::Large(changed) = &list.body else {
        panic!("large")
    };
    let is_shared = |nodes: &(&Node, &Node)| match nodes {
        (Node::Sealed(one), Node::Sealed(other)) => Arc::ptr_eq(one, other),
        _ => false,
    };
    let nodes = chunks.nodes.iter().zip(changed.nodes.iter());
    assert_eq!(nodes.filter(is_shared).count(), chunks.nodes.len() - 3);
}
