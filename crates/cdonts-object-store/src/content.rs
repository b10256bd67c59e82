//! The octets of a message in a bucket, read a block at a time.

use std::sync::{Arc, Mutex, PoisonError};

use cdonts::{MessageBytes, Result};
use object_store::ObjectMeta;

use crate::bucket::Bucket;
use crate::claim::Claim;

/// So much is asked for at once.
pub(crate) const BLOCK: u64 = 1 << 20;

pub(crate) struct ObjectBytes {
    bucket: Bucket,
    meta: ObjectMeta,
    /// Held as long as it is read.
    claim: Arc<Claim>,
    last: Mutex<Option<(u64, Vec<u8>)>>,
}

impl ObjectBytes {
    pub(crate) fn new(bucket: &Bucket, meta: &ObjectMeta, claim: Arc<Claim>) -> Self {
        Self {
            bucket: bucket.clone(),
            meta: meta.clone(),
            claim,
            last: Mutex::new(None),
        }
    }

    fn read_some(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let base = at / BLOCK * BLOCK;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let block = match &mut *last {
            Some((start, block)) if *start == base => block,
            other => {
                self.claim.check()?;
                let end = self.meta.size.min(base + BLOCK);
                &mut other
                    .insert((base, self.bucket.range(&self.meta, base, end)?))
                    .1
            }
        };
        let rest = usize::try_from(at - base)
            .ok()
            .and_then(|at| block.get(at..))
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }
}

impl MessageBytes for ObjectBytes {
    fn len(&self) -> u64 {
        self.meta.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            if at >= self.meta.size {
                break;
            }
            match self.read_some(rest, at)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }
}
