//! What all objects of CDONTS have in common.

/// What kind of object something is (`CdoObjectClass`).
///
/// ```
/// assert_eq!(cdonts::ObjectClass::Messages as i32, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "CdoObjectClass")]
#[non_exhaustive]
pub enum ObjectClass {
    /// `CdoSession`, 0.
    Session = 0,
    /// `CdoFolder`, 2.
    Folder = 2,
    /// `CdoMsg`, 3.
    Message = 3,
    /// `CdoRecipient`, 4.
    Recipient = 4,
    /// `CdoAttachment`, 5.
    Attachment = 5,
    /// `CdoAddressEntry`, 8.
    AddressEntry = 8,
    /// `CdoMessages`, 16.
    Messages = 16,
    /// `CdoRecipients`, 17.
    Recipients = 17,
    /// `CdoAttachments`, 18.
    Attachments = 18,
}

mod sealed {
    pub trait Sealed {}
}

/// The properties that every object of the hierarchy has. They are methods of the objects too, so
/// that this need be imported only for generic code.
///
/// ```
/// use cdonts::{CdoObject, MailServer, ObjectClass, Session};
///
/// fn describe(object: &impl CdoObject) -> String {
///     format!("{:?} of {}", object.class(), object.application())
/// }
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::temporary()?;
/// let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// assert!(describe(&session).starts_with("Session of cdonts"));
/// assert_eq!(session.inbox().class(), ObjectClass::Folder);
/// # Ok(())
/// # }
/// ```
pub trait CdoObject: sealed::Sealed {
    /// The name and version of this library.
    #[doc(alias = "Application")]
    fn application(&self) -> &'static str {
        concat!("cdonts ", env!("CARGO_PKG_VERSION"))
    }

    /// What kind of object this is.
    #[doc(alias = "Class")]
    fn class(&self) -> ObjectClass;
}

macro_rules! objects {
    ($($object:ty: $class:ident;)*) => {$(
        impl sealed::Sealed for $object {}

        impl CdoObject for $object {
            fn class(&self) -> ObjectClass {
                ObjectClass::$class
            }
        }

        impl $object {
            /// The name and version of this library; see [`CdoObject`].
            #[doc(alias = "Application")]
            pub fn application(&self) -> &'static str {
                CdoObject::application(self)
            }

            /// What kind of object this is; see [`CdoObject`].
            #[doc(alias = "Class")]
            pub fn class(&self) -> ObjectClass {
                CdoObject::class(self)
            }
        }
    )*};
}

objects! {
    crate::Session: Session;
    crate::Folder: Folder;
    crate::Inbox: Folder;
    crate::Outbox: Folder;
    crate::Messages: Messages;
    crate::OutboxMessages: Messages;
    crate::Message: Message;
    crate::Draft: Message;
    crate::Recipients: Recipients;
    crate::Recipient: Recipient;
    crate::Attachments: Attachments;
    crate::DraftAttachments: Attachments;
    crate::Attachment: Attachment;
    crate::DraftAttachment: Attachment;
    crate::AddressEntry: AddressEntry;
}
