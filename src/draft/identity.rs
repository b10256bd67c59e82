//! What makes two attempts the same message.

use std::time::SystemTime;

use crate::state::new_id;

#[derive(Clone, Debug)]
pub(super) struct Identity {
    id: String,
    pub(super) date: SystemTime,
}

impl Identity {
    /// By chance.
    pub(super) fn new() -> Self {
        Self::with(new_id())
    }

    /// By a text: the same for the same.
    pub(super) fn of(text: &str) -> Self {
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes());
        Self::with(id.simple().to_string())
    }

    fn with(id: String) -> Self {
        Self {
            id,
            date: SystemTime::now(),
        }
    }

    pub(super) fn message_id(&self, domain: &str) -> String {
        format!("<{}@{domain}>", self.id)
    }
}
