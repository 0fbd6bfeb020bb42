//! Lists under any operations: the same elements as a deque of byte strings, and clones that do not change.

use std::collections::VecDeque;

use millrace::data::list::{End, List, ListLimits, Side};

/// An element made from two bytes: small integers, texts, and some of the size of a chunk.
fn element(kind: u8, size: u8) -> Vec<u8> {
    match kind % 4 {
        0 => size.to_string().into_bytes(),
        1 => vec![kind; usize::from(size)],
        2 => vec![kind; 16 * usize::from(size)],
        _ => vec![kind; 40 * usize::from(size)],
    }
}

fn apply(list: &mut List, model: &mut VecDeque<Vec<u8>>, limits: &ListLimits, step: &[u8]) {
    let &[operation, a, b, c] = step else { return };
    let (new, index) = (element(b, c), usize::from(a));
    match operation % 8 {
        0 | 1 => {
            let end = if a % 2 == 0 { End::Front } else { End::Back };
            list.before_adding(new.len(), 1, limits);
            list.push(end, &new, limits);
            if end == End::Front {
                model.push_front(new)
            } else {
                model.push_back(new)
            }
        }
        2 => {
            let end = if a % 2 == 0 { End::Front } else { End::Back };
            let gone = if end == End::Front {
                model.pop_front()
            } else {
                model.pop_back()
            };
            assert_eq!(list.peek(end).map(|element| element.to_vec()), gone);
            assert_eq!(list.pop(end), gone.is_some());
        }
        3 => {
            list.before_adding(new.len(), 1, limits);
            let there = model.get_mut(index).map(|old| *old = new.clone()).is_some();
            assert_eq!(list.set(index, &new, limits), there);
        }
        4 | 5 => {
            let Some(pivot) = model.get(index).cloned() else {
                return;
            };
            let at = model
                .iter()
                .position(|element| *element == pivot)
                .unwrap_or_default();
            let side = if operation % 8 == 4 {
                Side::Before
            } else {
                Side::After
            };
            list.before_adding(new.len(), 1, limits);
            assert!(list.insert(side, &pivot, &new, limits));
            model.insert(at + usize::from(side == Side::After), new);
        }
        6 => {
            let Some(wanted) = model.get(index).cloned() else {
                return;
            };
            let before = model.len();
            model.retain(|element| *element != wanted);
            assert_eq!(
                list.remove(&wanted, usize::MAX, b % 2 == 0),
                before - model.len()
            );
        }
        _ => {
            let end = model.len().min(index + usize::from(b));
            let count = end.saturating_sub(index);
            assert_eq!(list.remove_range(index, usize::from(b)), count);
            if count > 0 {
                model.drain(index..end);
            }
        }
    }
    list.after_removing(limits);
}

fn same(list: &List, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert!(
        list.iter()
            .zip(model)
            .all(|(element, expected)| element == *expected.as_slice())
    );
    assert!(
        list.iter_back()
            .zip(model.iter().rev())
            .all(|(element, expected)| element == *expected.as_slice())
    );
    assert_eq!(list.iter().count(), list.iter_back().count());
}

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    let Some((first, steps)) = bytes.split_first() else {
        return;
    };
    let limits = ListLimits {
        chunk_limit: i32::from(first % 12) - 5,
        packed_bytes_max: usize::from(first / 128) * 64,
    };
    let (mut list, mut model) = (List::new(), VecDeque::new());
    let mut clones = Vec::new();
    for step in steps.chunks_exact(4) {
        if step[0] > 250 {
            clones.push((list.clone(), model.clone()));
        }
        apply(&mut list, &mut model, &limits, step);
    }
    same(&list, &model);
    for (list, model) in &clones {
        same(list, model);
    }
}
