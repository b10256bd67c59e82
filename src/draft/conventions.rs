//! Fields by which programs and lists keep to the conventions of mail.

use super::Draft;
use crate::address_entry::AddressEntry;

/// How a program has sent a message (RFC 3834 section 5).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Shop", "shop@example.com")?;
/// let mut draft = session.outbox().messages().add("Your order", "It is on its way.");
/// draft.set_auto_submitted(AutoSubmitted::Generated);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoSubmitted {
    /// Of its own accord: a notification, a report.
    Generated,
    /// In answer to a message. It has the null reverse-path, so that nothing answers it.
    Replied,
}

impl AutoSubmitted {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Generated => "auto-generated",
            Self::Replied => "auto-replied",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Unsubscribe {
    pub(super) url: String,
    pub(super) one_click: bool,
}

impl Draft {
    /// Says that a program sends it (RFC 3834), so that no program answers it; an answer by a
    /// program has the null reverse-path too.
    #[doc(alias = "Auto-Submitted")]
    pub fn set_auto_submitted(&mut self, how: AutoSubmitted) -> &mut Self {
        self.auto_submitted = Some(how);
        self
    }

    /// Sets where a reader can unsubscribe (RFC 2369): a URL, `https:` or `mailto:`.
    #[doc(alias = "List-Unsubscribe")]
    pub fn set_list_unsubscribe(&mut self, url: impl Into<String>) -> &mut Self {
        self.list_unsubscribe = Some(Unsubscribe {
            url: url.into(),
            one_click: false,
        });
        self
    }

    /// Sets an `https:` URL at which one POST unsubscribes (RFC 8058), as large providers demand.
    #[doc(alias = "List-Unsubscribe-Post")]
    pub fn set_list_unsubscribe_one_click(&mut self, url: impl Into<String>) -> &mut Self {
        self.list_unsubscribe = Some(Unsubscribe {
            url: url.into(),
            one_click: true,
        });
        self
    }

    /// Asks readers to tell the sender that they have read it (RFC 8098); most do not.
    #[doc(alias = "Disposition-Notification-To")]
    pub fn request_read_receipt(&mut self, on: bool) -> &mut Self {
        self.wants_read_receipt = on;
        self
    }

    /// Sets the Sender field (RFC 5322 section 3.6.2): who has sent it when that is not who is in
    /// From.
    #[doc(alias = "Sender")]
    pub fn set_sender_field(
        &mut self,
        name: impl Into<String>,
        address: impl Into<String>,
    ) -> &mut Self {
        self.sender_field = Some(AddressEntry::new(name, address));
        self
    }
}
