//! The list.

/// A list.
#[derive(Clone, Debug, Default)]
pub struct List;

impl List {
    /// Encoding.
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
    /// Heap.
    pub fn heap_bytes(&self) -> usize {
        0
    }
}
