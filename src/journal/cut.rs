//! Takes the tail off a log's file, once it is known where that begins.
//!
//! ```text
//! appendonly.aof.3.incr.aof             │ valid prefix │ tail │     ─►  │ valid prefix │ seal │
//! appendonly.aof.3.incr.aof.cut-8272    what was cut, byte by byte, synced before anything is changed
//! ```
//! What stays and is perhaps not on disk is written again ([`write_again`]), also where nothing is cut.
//! A crash at any moment leaves the file as it was, or cut: it can be cut again.

use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::scan::Verdict;
use super::storage::{CrashPoint, Opening, Storage, StorageFile, write_all_at};

/// Ends the name of a file that is to take the place of another.
pub(super) const TEMPORARY: &str = ".temp";
/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// Cuts a file at the end of its valid prefix, seals it and returns where the bytes cut off are kept, if there are any and there is room.
///
/// # Errors
/// Those of the storage. After one the file may be cut or not; it can be verified and cut again.
pub fn cut(storage: &dyn Storage, path: &Path, verdict: &Verdict) -> io::Result<Option<PathBuf>> {
    if verdict.bytes == verdict.valid_bytes {
        // The copy may be there, of a repair that a crash came into.
        end(storage, path, verdict)?;
        return Ok(None);
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let kept = kept_at(path, verdict);
    let mut is_kept = true;
    let copy = storage.open_write(&kept, Opening::Emptied)?;
    let copied = copy_bytes(storage, path, (verdict.valid_bytes, u64::MAX), (&*copy, 0));
    match copied.and_then(|()| copy.sync_data()) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            // Without room for it a server can start only so; what is cut off could not be read anyway.
            drop(copy);
            storage.remove(&kept)?;
            is_kept = false;
            warn!("{}: no room to keep what is cut off", path.display());
        }
        copied => copied?,
    }
    storage.sync_dir(directory)?;
    storage.reach(CrashPoint::BeforeTailCut)?;
    if verdict.is_sealed_by_end() {
        // The prefix is whole as it is: the end mark only lets a Redis append.
        let file = storage.open_write(path, Opening::Existing)?;
        write_again(storage, path, verdict, &*file)?;
        file.set_len(verdict.valid_bytes)?;
        file.sync_data()?;
        write_all_at(&*file, verdict.valid_bytes, &verdict.seal)?;
        file.sync_data()?;
    } else {
        // The last commit is cut off and the seal has another: one is right only with the other gone, so by a rename.
        let temporary = beside(path, TEMPORARY);
        let file = storage.open_write(&temporary, Opening::Emptied)?;
        copy_bytes(storage, path, (0, verdict.valid_bytes), (&*file, 0))?;
        write_all_at(&*file, verdict.valid_bytes, &verdict.seal)?;
        file.sync_data()?;
        storage.rename(&temporary, path)?;
        storage.sync_dir(directory)?;
    }
    storage.reach(CrashPoint::AfterTailCut)?;
    Ok(is_kept.then_some(kept))
}

/// Where [`cut`] keeps what it cuts off.
#[must_use]
pub fn kept_at(path: &Path, verdict: &Verdict) -> PathBuf {
    beside(path, &format!(".cut-{}", verdict.valid_bytes))
}

/// Puts the seal behind the valid prefix, of which nothing but fill is behind: in the place of the first of it, so that the file does not
/// end right behind a commit, whatever a crash leaves.
///
/// # Errors
/// Those of the storage.
pub(super) fn end(storage: &dyn Storage, path: &Path, verdict: &Verdict) -> io::Result<()> {
    let file = storage.open_write(path, Opening::Existing)?;
    write_again(storage, path, verdict, &*file)?;
    file.sync_data()?;
    let end = verdict.valid_bytes + verdict.seal.len() as u64;
    if verdict.bytes > end {
        file.set_len(end)?;
    }
    write_all_at(&*file, verdict.valid_bytes, &verdict.seal)?;
    file.sync_data()
}

/// Writes what may not be on disk again, so that the next sync is for it too. A sync of it may have failed in a process that was
/// killed then: it can be read, and Linux believes it to be on disk.
///
/// # Errors
/// Those of the storage.
fn write_again(
    storage: &dyn Storage,
    path: &Path,
    verdict: &Verdict,
    file: &dyn StorageFile,
) -> io::Result<()> {
    let range = (verdict.unsynced_from, verdict.valid_bytes);
    copy_bytes(storage, path, range, (file, range.0))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Copies the bytes of a file from `start` to `end`, or to its end, to an offset of another.
fn copy_bytes(
    storage: &dyn Storage,
    path: &Path,
    (start, end): (u64, u64),
    (to, mut offset): (&dyn StorageFile, u64),
) -> io::Result<()> {
    let mut from = storage.open_read(path)?;
    from.seek(SeekFrom::Start(start))?;
    let mut from = from.take(end - start);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        write_all_at(to, offset, piece.get(..count).unwrap_or_default())?;
        offset += count as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::annotation::{self, RangeChecksum};
    use super::super::format;
    use super::super::scan::{Tail, verify};
    use super::super::storage::memory::MemoryStorage;
    use super::*;

    const PATH: &str = "d/log";

    /// A log that ends within a command, `half`: in a transaction whose beginning is committed.
    fn torn(half: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        annotation::begin(7, 0, &mut bytes);
        let mut range = Vec::new();
        format::command([b"SET".as_slice(), b"a", b"1"], &mut range);
        if half {
            range.extend_from_slice(format::MULTI);
        }
        let mut checksum = RangeChecksum::new(7);
        checksum.extend(&range);
        bytes.extend_from_slice(&range);
        annotation::commit(checksum, bytes.len() as u64, 0, &mut bytes);
        bytes.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$1\r\nb");
        bytes
    }

    fn judge(storage: &MemoryStorage) -> Verdict {
        verify(storage.open_read(Path::new(PATH)).unwrap(), 0).unwrap()
    }

    #[test]
    fn a_cut_file_is_whole_whenever_a_crash_comes() {
        for half in [false, true] {
            let bytes = torn(half);
            let start = MemoryStorage::new();
            start.put(Path::new(PATH), &bytes);
            let verdict = judge(&start);
            assert!(matches!(verdict.tail, Tail::Torn { .. }));
            assert_eq!(verdict.commands, 1);
            let kept = cut(&start, Path::new(PATH), &verdict).unwrap().unwrap();
            assert_eq!(
                kept,
                PathBuf::from(format!("d/log.cut-{}", verdict.valid_bytes))
            );
            let valid = verdict.valid_bytes as usize;
            assert!(start.bytes(&kept).unwrap() == bytes[valid..]);
            assert_eq!(judge(&start).tail, Tail::Clean);
            for point in [CrashPoint::BeforeTailCut, CrashPoint::AfterTailCut] {
                for seed in 0..100 {
                    let storage = MemoryStorage::new();
                    storage.put(Path::new(PATH), &bytes);
                    storage.stop_at(point, 1);
                    cut(&storage, Path::new(PATH), &verdict).unwrap_err();
                    let after = judge(&storage.crash(seed));
                    assert_eq!(after.commands, 1);
                    assert!(!matches!(after.tail, Tail::Damaged { .. }));
                }
            }
        }
    }

    #[test]
    fn a_file_that_ends_right_behind_a_commit_gets_an_end_and_keeps_what_an_earlier_cut_has_kept() {
        let whole = torn(false);
        let storage = MemoryStorage::new();
        storage.put(Path::new(PATH), &whole);
        let at = judge(&storage).valid_bytes;
        let kept = PathBuf::from(format!("d/log.cut-{at}"));
        storage.put(&kept, b"kept");
        storage.put(Path::new(PATH), &whole[..at as usize]);
        let verdict = judge(&storage);
        assert!(matches!(verdict.tail, Tail::Torn { at: found, .. } if found == at));
        assert_eq!((verdict.commands, verdict.tail_bytes()), (1, 0));
        assert_eq!(cut(&storage, Path::new(PATH), &verdict).unwrap(), None);
        assert_eq!(storage.bytes(&kept).unwrap(), b"kept");
        let after = judge(&storage);
        assert_eq!((after.tail, after.commands), (Tail::Clean, 1));
        // Not even a byte.
        storage.put(Path::new(PATH), b"");
        assert_eq!(judge(&storage).tail, Tail::Clean);
        let verdict = judge(&storage).emptied();
        assert!(matches!(verdict.tail, Tail::Torn { at: 0, .. }));
        cut(&storage, Path::new(PATH), &verdict).unwrap();
        let after = judge(&storage);
        assert_eq!((after.tail, after.valid_bytes), (Tail::Clean, 16));
    }
}
