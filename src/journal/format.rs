//! stub
pub(crate) const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
pub(crate) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
pub(crate) fn push_select(db: usize, into: &mut Vec<u8>) {}
pub(crate) fn push_own_command(command: &[u8], into: &mut Vec<u8>) {}
pub(crate) fn push_commit(into: &mut Vec<u8>, offset: u64, synced: u64) {}
pub(crate) fn fill(start: u64, len: u64) -> Vec<u8> { Vec::new() }
