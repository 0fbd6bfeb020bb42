//! stub
use std::io;
pub(crate) trait StorageFile: Send + Sync + std::fmt::Debug {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    fn sync_data(&self) -> io::Result<()>;
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
}
