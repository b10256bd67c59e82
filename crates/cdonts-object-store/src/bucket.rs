//! The objects of one address, and what is remembered of them beside them.
//!
//! `<prefix>/<key>` is a message. `<prefix>/.cdonts/` holds `claims/` (who has it), `attempts/` (how
//! often it was given out and given back), `done/` (it was handled, and is only deleted when it is
//! seen), `effects/` (what came of it) and `failed/` (it was given out too often).

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use cdonts::{Error, ErrorKind, Result};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use uuid::Uuid;

use crate::bridge::Bridge;

const OWN: &str = ".cdonts";

#[derive(Clone, Copy)]
pub(crate) enum Place {
    Claims,
    Attempts,
    Done,
    Effects,
    Failed,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Attempts => "attempts",
            Self::Done => "done",
            Self::Effects => "effects",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    bridge: Bridge,
    prefix: Path,
    pub(crate) lease: Duration,
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
}

/// What became of an attempt to write an object that must not be there, or not be changed.
pub(crate) enum Written {
    Done(UpdateVersion),
    Taken,
}

impl Bucket {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self> {
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| {
            Error::of_store(ErrorKind::Configuration, "the prefix is no path").caused_by(error)
        })?;
        Ok(Self {
            store,
            bridge: Bridge::new()?,
            prefix,
            lease: Duration::from_mins(5),
            attempts: 5,
            timeout: Duration::from_mins(1),
        })
    }

    /// Runs one call to the store.
    fn call<T, F>(
        &self,
        work: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> Result<object_store::Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        self.bridge
            .wait(self.timeout, work(Arc::clone(&self.store)))
    }

    /// Whether the store refuses to create an object twice. Without that two servers would handle
    /// one message.
    pub(crate) fn probe(&self) -> Result<()> {
        let place = self
            .own()
            .join("probe")
            .join(Uuid::new_v4().simple().to_string());
        let first = self.create(&place, b"first".to_vec())?;
        let second = self.create(&place, b"second".to_vec())?;
        self.delete(&place)?;
        if matches!((first, second), (Written::Done(_), Written::Taken)) {
            return Ok(());
        }
        let text = "the object store lets an object be created twice (it ignores If-None-Match): \
                    several servers would handle one message";
        Err(Error::of_store(ErrorKind::Configuration, text))
    }

    fn own(&self) -> Path {
        self.prefix.clone().join(OWN)
    }

    pub(crate) fn place(&self, place: Place, name: &str) -> Path {
        self.own().join(place.name()).join(name)
    }

    pub(crate) fn effect(&self, message: &FilePath, name: &str) -> Path {
        let id = message
            .file_name()
            .map(|id| id.to_string_lossy().into_owned());
        self.place(Place::Effects, &id.unwrap_or_default())
            .join(name)
    }

    /// The messages, whoever has them.
    pub(crate) fn messages(&self) -> Result<Vec<ObjectMeta>> {
        let prefix = self.prefix.clone();
        let listed =
            self.call(|store| async move { store.list_with_delimiter(Some(&prefix)).await });
        let mut objects = listed?.map_err(failed)?.objects;
        // Amazon's service puts this there when it is set up.
        objects.retain(|object| {
            let name = object.location.filename().unwrap_or_default();
            !name.starts_with('.') && name != "AMAZON_SES_SETUP_NOTIFICATION"
        });
        objects.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        Ok(objects)
    }

    pub(crate) fn list_all(&self, place: Place) -> Result<Vec<ObjectMeta>> {
        let prefix = self.own().join(place.name());
        let listed =
            self.call(|store| async move { store.list(Some(&prefix)).try_collect().await });
        listed?.map_err(failed)
    }

    /// The store's own time: clocks of servers differ.
    pub(crate) fn now(&self) -> Result<DateTime<Utc>> {
        let place = self
            .own()
            .join("now")
            .join(Uuid::new_v4().simple().to_string());
        self.create(&place, Vec::new())?;
        let head = place.clone();
        let meta = self.call(|store| async move { store.head(&head).await });
        self.delete(&place)?;
        Ok(meta?.map_err(failed)?.last_modified)
    }

    pub(crate) fn create(&self, place: &Path, content: Vec<u8>) -> Result<Written> {
        self.put(place, content, PutMode::Create)
    }

    /// Replaces an object if it is still the one that was read.
    pub(crate) fn update(
        &self,
        place: &Path,
        content: Vec<u8>,
        of: UpdateVersion,
    ) -> Result<Written> {
        self.put(place, content, PutMode::Update(of))
    }

    /// Writes an object whatever is there.
    pub(crate) fn overwrite(&self, place: &Path, content: Vec<u8>) -> Result<()> {
        self.put(place, content, PutMode::Overwrite).map(drop)
    }

    /// Gives an object another name that must be free: whether this call has.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        let (from, to) = (from.clone(), to.clone());
        let renamed =
            self.call(|store| async move { store.rename_if_not_exists(&from, &to).await });
        match renamed? {
            Ok(()) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. } | object_store::Error::NotFound { .. },
            ) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn put(&self, place: &Path, content: Vec<u8>, mode: PutMode) -> Result<Written> {
        let place = place.clone();
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        let payload = PutPayload::from(content);
        let put = self.call(|store| async move { store.put_opts(&place, payload, options).await });
        match put? {
            Ok(done) => Ok(Written::Done(UpdateVersion {
                e_tag: done.e_tag,
                version: done.version,
            })),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(Written::Taken),
            Err(error) => Err(failed(error)),
        }
    }

    /// Creates an object with that content, if there is none yet: whether this call has. An answer
    /// that is lost is made up for by a look.
    pub(crate) fn create_once(&self, place: &Path, content: &[u8]) -> Result<bool> {
        match self.create(place, content.to_vec()) {
            Ok(Written::Done(_)) => Ok(true),
            Ok(Written::Taken) => Ok(false),
            Err(error) => match self.read(place) {
                Ok(Some((found, _))) if found == content => Ok(true),
                _ => Err(error),
            },
        }
    }

    /// A small object and which one it is; `None` when there is none.
    pub(crate) fn read(&self, place: &Path) -> Result<Option<(Vec<u8>, ObjectMeta)>> {
        let place = place.clone();
        let read = self.call(|store| async move {
            let found = store.get(&place).await?;
            let meta = found.meta.clone();
            Ok((found.bytes().await?.to_vec(), meta))
        });
        match read? {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Octets of the very object that was listed.
    pub(crate) fn range(&self, of: &ObjectMeta, start: u64, end: u64) -> Result<Vec<u8>> {
        let place = of.location.clone();
        let options = GetOptions {
            if_match: of.e_tag.clone(),
            version: of.version.clone(),
            range: (start < end).then(|| (start..end).into()),
            ..GetOptions::default()
        };
        let read =
            self.call(|store| async move { store.get_opts(&place, options).await?.bytes().await });
        read?.map(|bytes| bytes.to_vec()).map_err(failed)
    }

    /// Removes an object, if it is there.
    pub(crate) fn delete(&self, place: &Path) -> Result<()> {
        let place = place.clone();
        let deleted = self.call(|store| async move { store.delete(&place).await });
        match deleted? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Copies a message to where those are that were given out too often.
    pub(crate) fn set_aside(&self, message: &ObjectMeta, id: &str) -> Result<()> {
        let (from, to) = (message.location.clone(), self.place(Place::Failed, id));
        let copied = self.call(|store| async move { store.copy(&from, &to).await });
        copied?.map_err(failed)
    }
}

/// What an error of the store means here.
pub(crate) fn failed(error: object_store::Error) -> Error {
    use object_store::Error as E;
    let (kind, text) = match &error {
        E::NotFound { .. } | E::Precondition { .. } | E::NotModified { .. } => (
            ErrorKind::MessageGone,
            "the message was deleted or replaced since it was listed; list the Inbox again",
        ),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => (
            ErrorKind::NoAccess,
            "the object store denies it; check the rights of this account",
        ),
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            (ErrorKind::NotSupported, "the object store cannot do this")
        }
        E::InvalidPath { .. } => (ErrorKind::InvalidValue, "the name of an object is none"),
        _ => (
            ErrorKind::Network,
            "the object store cannot be reached, or failed",
        ),
    };
    Error::of_store(kind, text).caused_by(error)
}
