//! That a message is one server's, until it is done with it or is not heard of any more.
//!
//! A claim is an object that only one can create. Its body has a token, by which its maker knows it
//! again when the answer to the creation was lost. It is kept alive by rewriting it; one that was
//! not for the time of a lease, by the clock of the store, may be taken over by whoever replaces
//! that very object first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use cdonts::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectMeta, UpdateVersion};
use uuid::Uuid;

use crate::bucket::{Bucket, Place, Written};

/// So often it is begun again when the claim of another goes meanwhile.
const TRIES: usize = 10;

pub(crate) struct Claim {
    bucket: Bucket,
    id: String,
    place: Path,
    body: Body,
    held: Mutex<Held>,
    /// Another server has it now, or may have.
    is_lost: AtomicBool,
    is_finished: AtomicBool,
}

struct Held {
    version: UpdateVersion,
    since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    token: String,
    attempts: u32,
}

impl Body {
    fn to_bytes(&self) -> Vec<u8> {
        format!("{} {}\n", self.token, self.attempts).into_bytes()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (token, attempts) = text.trim().split_once(' ')?;
        Some(Self {
            token: token.to_owned(),
            attempts: attempts.parse().ok()?,
        })
    }
}

fn taken() -> Error {
    let text = "another server has this message; it is listed again if that one gives it up";
    Error::of_store(ErrorKind::MessageGone, text)
}

fn version_of(meta: &ObjectMeta) -> UpdateVersion {
    UpdateVersion {
        e_tag: meta.e_tag.clone(),
        version: meta.version.clone(),
    }
}

impl Claim {
    /// Claims a message, or says that another has it. One that was given out too often is set aside.
    pub(crate) fn take(bucket: &Bucket, message: &ObjectMeta, id: &str) -> Result<Arc<Self>> {
        let place = bucket.place(Place::Claims, id);
        let token = Uuid::new_v4().simple().to_string();
        for _ in 0..TRIES {
            let body = Body {
                token: token.clone(),
                attempts: before(bucket, id)?.saturating_add(1),
            };
            if body.attempts > bucket.attempts {
                return Err(set_aside(bucket, message, id));
            }
            let created = bucket.create(&place, body.to_bytes());
            if let Ok(Written::Done(version)) = created {
                return Ok(Self::new(bucket, id, place, body, version));
            }
            let Some((found, meta)) = bucket.read(&place)? else {
                // It went meanwhile, or was never made.
                created?;
                continue;
            };
            let theirs = Body::of_bytes(&found);
            if theirs.as_ref() == Some(&body) {
                // Only the answer was lost.
                return Ok(Self::new(bucket, id, place, body, version_of(&meta)));
            }
            created?;
            if !bucket.is_expired(&meta)? {
                return Err(taken());
            }
            let attempts = theirs.map_or(1, |theirs| theirs.attempts).saturating_add(1);
            if attempts > bucket.attempts {
                return Err(set_aside(bucket, message, id));
            }
            let body = Body {
                token: token.clone(),
                attempts,
            };
            if let Some(version) = take_over(bucket, &place, &body, &meta)? {
                return Ok(Self::new(bucket, id, place, body, version));
            }
        }
        Err(taken())
    }

    fn new(
        bucket: &Bucket,
        id: &str,
        place: Path,
        body: Body,
        version: UpdateVersion,
    ) -> Arc<Self> {
        let claim = Arc::new(Self {
            bucket: bucket.clone(),
            id: id.to_owned(),
            place,
            body,
            held: Mutex::new(Held {
                version,
                since: Instant::now(),
            }),
            is_lost: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
        });
        keep_alive(&claim);
        claim
    }

    /// Fails when another server has the message now.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(taken());
        }
        Ok(())
    }

    /// Says that it is still wanted, if it is time to.
    fn renew(&self) -> Result<()> {
        self.check()?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let content = self.body.to_bytes();
        let written = match self
            .bucket
            .update(&self.place, content.clone(), held.version.clone())
        {
            Err(error) if error.kind() == ErrorKind::NotSupported => self.rewrite(content),
            // Perhaps it was done, and only the answer lost: what is there tells.
            Err(error) => match self.bucket.read(&self.place) {
                Ok(Some((found, meta))) if found == content => Ok(Some(version_of(&meta))),
                Ok(_) => Ok(None),
                Err(_) => return Err(error),
            },
            Ok(Written::Done(version)) => Ok(Some(version)),
            Ok(Written::Taken) => Ok(None),
        };
        let Some(version) = written? else {
            self.is_lost.store(true, Ordering::Release);
            return Err(taken());
        };
        let since = Instant::now();
        *held = Held { version, since };
        Ok(())
    }

    /// For a store that cannot replace one very object: nobody takes it over before it is due.
    fn rewrite(&self, content: Vec<u8>) -> Result<Option<UpdateVersion>> {
        match self.bucket.read(&self.place)? {
            Some((found, _)) if found == content => {
                self.bucket.overwrite(&self.place, content)?;
                Ok(Some(UpdateVersion {
                    e_tag: None,
                    version: None,
                }))
            }
            _ => Ok(None),
        }
    }

    /// The message was handled: it is deleted by whoever sees it from now on. Then it is deleted.
    pub(crate) fn finish(&self, message: &ObjectMeta) -> Result<()> {
        self.renew()?;
        let done = self.bucket.place(Place::Done, &self.id);
        let key = message.location.as_ref().as_bytes();
        self.bucket.create_once(&done, key).map_err(|error| {
            let text = "whether the message is deleted is not known";
            Error::of_store(ErrorKind::OutcomeUnknown, text).caused_by(error)
        })?;
        self.is_finished.store(true, Ordering::Release);
        // Whoever finds what is left does the rest.
        if self.bucket.delete(&message.location).is_ok() {
            let _ = self.bucket.delete(&self.place);
            let _ = self
                .bucket
                .delete(&self.bucket.place(Place::Attempts, &self.id));
        }
        Ok(())
    }
}

impl Drop for Claim {
    /// Not handled: another may have it.
    fn drop(&mut self) {
        if self.is_finished.load(Ordering::Acquire) || self.is_lost.load(Ordering::Acquire) {
            return;
        }
        let attempts = self.bucket.place(Place::Attempts, &self.id);
        // If this fails, the lease runs out.
        let noted = self
            .bucket
            .overwrite(&attempts, self.body.attempts.to_string().into_bytes());
        if noted.is_ok() && self.renew().is_ok() {
            let _ = self.bucket.delete(&self.place);
        }
    }
}

/// How often it was given out and given back.
fn before(bucket: &Bucket, id: &str) -> Result<u32> {
    let read = bucket.read(&bucket.place(Place::Attempts, id))?;
    let count = read.and_then(|(text, _)| std::str::from_utf8(&text).ok()?.parse().ok());
    Ok(count.unwrap_or(0))
}

fn set_aside(bucket: &Bucket, message: &ObjectMeta, id: &str) -> Error {
    let moved = bucket.set_aside(message, id).and_then(|()| {
        bucket.create_once(
            &bucket.place(Place::Done, id),
            message.location.as_ref().as_bytes(),
        )?;
        bucket.delete(&message.location)
    });
    match moved {
        Ok(()) => {
            let text = "the message was given out too often without being handled; it lies in \
                        `.cdonts/failed` now";
            Error::of_store(ErrorKind::MessageGone, text)
        }
        Err(error) => error,
    }
}

/// Replaces a claim whose lease is over; `None` when another was faster.
fn take_over(
    bucket: &Bucket,
    place: &Path,
    body: &Body,
    meta: &ObjectMeta,
) -> Result<Option<UpdateVersion>> {
    match bucket.update(place, body.to_bytes(), version_of(meta)) {
        Ok(Written::Done(version)) => Ok(Some(version)),
        Ok(Written::Taken) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotSupported => {
            // Of those who see the same object one can give it this name.
            let stamp = format!("{:?} {}", meta.e_tag, meta.last_modified.timestamp_micros());
            let stale = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{place} {stamp}").as_bytes());
            let aside = bucket.place(Place::Done, &format!("stale-{}", stale.simple()));
            if !bucket.rename(place, &aside)? {
                return Ok(None);
            }
            match bucket.create(place, body.to_bytes())? {
                Written::Done(version) => Ok(Some(version)),
                Written::Taken => Ok(None),
            }
        }
        Err(error) => Err(error),
    }
}

/// Renews a claim until it is let go, or lost.
fn keep_alive(claim: &Arc<Claim>) {
    const STEP: Duration = Duration::from_millis(500);
    let weak: Weak<Claim> = Arc::downgrade(claim);
    let third = claim.bucket.lease / 3;
    let work = move || {
        loop {
            thread::sleep(STEP.min(third));
            let Some(claim) = weak.upgrade() else { return };
            let since = claim
                .held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .since;
            if claim.is_finished.load(Ordering::Acquire) || claim.check().is_err() {
                return;
            }
            if since.elapsed() >= third
                && claim.renew().is_err()
                && since.elapsed() >= claim.bucket.lease
            {
                // Somebody may have it by now.
                claim.is_lost.store(true, Ordering::Release);
                return;
            }
        }
    };
    // Without the thread the lease runs out, and another server gets the message.
    let _ = thread::Builder::new()
        .name("cdonts-claim".to_owned())
        .spawn(work);
}

impl Bucket {
    /// Whether a claim was not renewed for so long, by the clock of the store.
    pub(crate) fn is_expired(&self, claim: &ObjectMeta) -> Result<bool> {
        let age = self.now()?.signed_duration_since(claim.last_modified);
        Ok(age.to_std().is_ok_and(|age| age > self.lease))
    }
}
