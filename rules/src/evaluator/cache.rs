//! Remembers what rules gave for the parts of an event that they read.
//!
//! Bounded in bytes; what has not been used for longest goes first. Entries hold the whole key, so a collision of
//! hashes decides nothing; the hash is keyed at random, so nobody can aim for one. An evaluator is made anew for each
//! generation of policies, and its cache with it.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use lru::LruCache;
use regorus::value::Set;

/// What rules gave, for those that gave any members.
pub(super) type Members = Box<[(usize, Arc<Set>)]>;

/// Longest key that is kept: a command line may be longer.
const MAX_KEY: usize = 16 << 10;
/// What an entry costs besides its key and texts: boxes, links and a slot in the table.
const OVERHEAD: usize = 160;

struct Entry {
    members: Members,
    size: usize,
}

/// A bounded cache.
pub(super) struct Cache {
    entries: LruCache<Box<[u8]>, Entry, RandomState>,
    bytes: usize,
    limit: usize,
}

impl Cache {
    /// A cache of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Cache {
        Cache { entries: LruCache::unbounded_with_hasher(RandomState::new()), bytes: 0, limit }
    }

    /// What was kept under a key.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&Members> {
        self.entries.get(key).map(|entry| &entry.members)
    }

    /// Keeps what rules gave; `text` is how many bytes of text that holds.
    pub(super) fn put(&mut self, key: &[u8], members: Members, text: usize) {
        let size = OVERHEAD + key.len() + text;
        if key.len() > MAX_KEY || size > self.limit {
            return;
        }
        while self.bytes + size > self.limit {
            let Some((_, dropped)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(dropped.size);
        }
        self.bytes += size;
        if let Some(replaced) = self.entries.put(key.into(), Entry { members, size }) {
            self.bytes = self.bytes.saturating_sub(replaced.size);
        }
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("entries", &self.entries.len()).field("bytes", &self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_first_and_the_bound_holds() {
        let mut cache = Cache::new(10 * (OVERHEAD + 4));
        for n in 0u32..100 {
            cache.put(&n.to_le_bytes(), Box::default(), 0);
            assert!(cache.get(&0u32.to_le_bytes()).is_some(), "it was used every time");
            assert!(cache.bytes() <= 10 * (OVERHEAD + 4));
        }
        let kept = (0u32..100).filter(|n| cache.get(&n.to_le_bytes()).is_some()).count();
        assert_eq!(kept, 10);
        assert!(cache.get(&50u32.to_le_bytes()).is_none() && cache.get(&99u32.to_le_bytes()).is_some());
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut cache = Cache::new(1 << 20);
        cache.put(&vec![0; MAX_KEY + 1], Box::default(), 0);
        cache.put(&[1], Box::default(), 2 << 20);
        assert_eq!(cache.bytes(), 0);
        for _ in 0..3 {
            cache.put(&[1], Box::default(), 10);
        }
        assert_eq!(cache.bytes(), OVERHEAD + 11, "one entry, however often it is put");
    }
}
