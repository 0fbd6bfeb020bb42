//! stub
pub(crate) mod format;
pub(crate) mod log;
pub(crate) mod storage;
