//! How many nodes Redis' compressed radix tree would have for a set of keys.
//!
//! Streams here are no radix tree, but XINFO STREAM tells `radix-tree-nodes`. The tree's shape follows from
//! the keys alone: a leaf for each key, a node at each position where keys part, and one node for each
//! run of bytes in between (a compressed node, or a plain one when the run is a single byte).

const KEY_BYTES: usize = 16;

/// Nodes for these distinct, ascending keys. O(keys).
pub(super) fn node_count(keys: impl Iterator<Item = [u8; KEY_BYTES]>) -> usize {
    // The depths at which the current key parts from others, rising; each is one branching node.
    let mut branches: Vec<usize> = Vec::with_capacity(KEY_BYTES);
    let mut nodes = 0;
    let mut previous: Option<[u8; KEY_BYTES]> = None;
    for key in keys {
        nodes += 1;
        if let Some(previous) = previous {
            let depth = previous
                .iter()
                .zip(&key)
                .position(|(a, b)| a != b)
                .unwrap_or(0);
            nodes += close(&mut branches, depth, KEY_BYTES);
        }
        previous = Some(key);
    }
    if previous.is_none() {
        // The root of an empty tree.
        return 1;
    }
    nodes + finish(&mut branches)
}

/// A new key parts from the one before at `depth`: all deeper branches are complete. Counts the runs of bytes
/// above what ended, and the branch at `depth` when it is new.
fn close(branches: &mut Vec<usize>, depth: usize, leaf_depth: usize) -> usize {
    let mut nodes = 0;
    let mut below = leaf_depth;
    while let Some(&branch) = branches.last() {
        if branch <= depth {
            break;
        }
        nodes += run(branch, below);
        below = branch;
        branches.pop();
    }
    if branches.last() != Some(&depth) {
        branches.push(depth);
        nodes += 1;
    }
    nodes + run(depth, below)
}

fn finish(branches: &mut Vec<usize>) -> usize {
    let mut nodes = 0;
    let mut below = KEY_BYTES;
    while let Some(branch) = branches.pop() {
        nodes += run(branch, below);
        below = branch;
    }
    // Above the first branch the root itself is the run.
    nodes + usize::from(below > 0)
}

/// One node when bytes lie between a branching node (which spells one itself) and what is below.
fn run(branch: usize, below: usize) -> usize {
    usize::from(branch + 1 < below)
}
