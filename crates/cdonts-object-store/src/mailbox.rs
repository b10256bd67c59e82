//! What is in the bucket for the one address.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use cdonts::{
    DeliveredBytes, Error, ErrorKind, Limits, Listing, Mailbox, MessageBytes, Result,
    StoredMessage, Summary,
};
use object_store::ObjectMeta;
use uuid::Uuid;

use crate::bucket::{Bucket, Place};
use crate::claim::Claim;
use crate::content::ObjectBytes;

/// Most header sections are shorter.
const HEAD: u64 = 32 * 1024;

#[derive(Debug)]
pub(crate) struct ObjectMailbox {
    shared: Arc<Shared>,
}

struct Shared {
    bucket: Bucket,
    limits: Limits,
    /// What this process has claimed.
    claims: Mutex<HashMap<String, Weak<Claim>>>,
}

struct ObjectMessage {
    shared: Arc<Shared>,
    meta: ObjectMeta,
    id: String,
    summary: OnceLock<Summary>,
    claim: Mutex<Option<Arc<Claim>>>,
}

/// What tells an object from all that had its name.
fn id_of(object: &ObjectMeta) -> String {
    let text = format!(
        "{} {:?} {:?}",
        object.location, object.e_tag, object.version
    );
    Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes())
        .simple()
        .to_string()
}

impl ObjectMailbox {
    pub(crate) fn new(bucket: Bucket, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                bucket,
                limits,
                claims: Mutex::default(),
            }),
        }
    }
}

impl Shared {
    fn names(&self, place: Place) -> Result<HashMap<String, ObjectMeta>> {
        let objects = self.bucket.list_all(place)?.into_iter();
        let named = objects.filter_map(|meta| Some((meta.location.filename()?.to_owned(), meta)));
        Ok(named.collect())
    }

    fn own_claims(&self) -> HashSet<String> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, claim| claim.strong_count() > 0);
        claims.keys().cloned().collect()
    }

    /// The claim of a message, which this process has already or takes now.
    fn claim(&self, meta: &ObjectMeta, id: &str) -> Result<Arc<Claim>> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = claims.get(id).and_then(Weak::upgrade) {
            return Ok(claim);
        }
        let claim = Claim::take(&self.bucket, meta, id)?;
        claims.insert(id.to_owned(), Arc::downgrade(&claim));
        Ok(claim)
    }
}

impl Mailbox for ObjectMailbox {
    /// What is to be handled: nothing that was handled already, and nothing that another server has.
    fn list(&self) -> Result<Listing> {
        let shared = &self.shared;
        let objects = shared.bucket.messages()?;
        let (done, claims) = (shared.names(Place::Done)?, shared.names(Place::Claims)?);
        let own = shared.own_claims();
        let mut messages: Vec<Arc<dyn StoredMessage>> = Vec::with_capacity(objects.len());
        for meta in objects {
            let id = id_of(&meta);
            if done.contains_key(&id) {
                // Its handler died before it was deleted.
                let _ = shared.bucket.delete(&meta.location);
                let _ = shared
                    .bucket
                    .delete(&shared.bucket.place(Place::Claims, &id));
                continue;
            }
            if let Some(claim) = claims.get(&id).filter(|_| !own.contains(&id))
                && !shared.bucket.is_expired(claim)?
            {
                continue;
            }
            messages.push(Arc::new(ObjectMessage {
                shared: Arc::clone(shared),
                meta,
                id,
                summary: OnceLock::new(),
                claim: Mutex::new(None),
            }));
        }
        Ok(Listing::new(messages))
    }
}

impl ObjectMessage {
    fn claim(&self) -> Result<Arc<Claim>> {
        let mut held = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(claim) => Ok(Arc::clone(claim)),
            None => Ok(Arc::clone(
                held.insert(self.shared.claim(&self.meta, &self.id)?),
            )),
        }
    }
}

impl StoredMessage for ObjectMessage {
    /// The name of the object, and below it what tells it from others of that name.
    fn name(&self) -> PathBuf {
        let name = self.meta.location.filename().unwrap_or_default();
        PathBuf::from(name).join(&self.id)
    }

    fn summary(&self) -> Result<&Summary> {
        if self.summary.get().is_none() {
            let bucket = &self.shared.bucket;
            let mut end = self.meta.size.min(HEAD);
            let mut head = bucket.range(&self.meta, 0, end)?;
            let is_short = |head: &[u8]| {
                let ends = [&b"\r\n\r\n"[..], b"\n\n"];
                ends.iter()
                    .any(|end| head.windows(end.len()).any(|some| some == *end))
            };
            let most = self.meta.size.min(self.shared.limits.header_section as u64);
            if !is_short(&head) && end < most {
                end = most;
                head = bucket.range(&self.meta, 0, end)?;
            }
            let summary = Summary::of_delivered(&head, self.meta.size);
            let _ = self
                .summary
                .set(summary.received_at(self.meta.last_modified.into()));
        }
        let none = || Error::of_store(ErrorKind::MessageGone, "there is no such message");
        self.summary.get().ok_or_else(none)
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        let claim = self.claim()?;
        claim.check()?;
        let bytes = ObjectBytes::new(&self.shared.bucket, &self.meta, claim);
        Ok(Arc::new(DeliveredBytes::new(Arc::new(bytes))?))
    }

    fn delete(&self) -> Result<()> {
        self.claim()?.finish(&self.meta)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ObjectMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectMessage").field(&self.name()).finish()
    }
}
