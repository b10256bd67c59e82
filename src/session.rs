//! A session: an identity at a mail server.

use std::sync::Arc;

use crate::credentials::Credentials;
use crate::error::{CdoCode, Error, ErrorKind, Result};
use crate::folder::{Folder, FolderType, Inbox, Outbox};
use crate::format::address::Address;
use crate::format::field;
use crate::locale::CodePage;
use crate::message::Message;
use crate::message_format::MessageFormat;
use crate::server::MailServer;
use crate::store::{LogOn, Mailbox, StoredMessage};

/// Somebody who is logged on at a mail server, under a display name and an address (CDONTS
/// `Session`). It gives the two folders there are.
///
/// As in CDONTS nobody is asked for a password: a program can log on as anyone whose mail the
/// server has, unless the owner has set [`authorize`](crate::MailServerBuilder::authorize).
///
/// ```
/// use cdonts::{MailServer, Session};
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::temporary()?;
/// let session = Session::logon_smtp(&server, "Help Desk", "help@example.com")?;
/// assert_eq!(session.name(), "Help Desk");
/// for message in session.inbox().messages()? {
///     println!("{} from {}", message.subject(), message.sender());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    identity: Arc<Identity>,
    message_format: MessageFormat,
    code_page: CodePage,
}

#[derive(Debug)]
struct Identity {
    server: MailServer,
    name: String,
    address: String,
    /// `None` where there is nothing to read from.
    mailbox: Option<Arc<dyn Mailbox>>,
    credentials: Option<Credentials>,
}

impl Session {
    /// Logs on under a display name, which may be empty, and an address, by which messages are
    /// found (CDONTS `LogonSMTP`).
    ///
    /// # Errors
    /// [`InvalidAddress`](ErrorKind::InvalidAddress) and [`InvalidValue`](ErrorKind::InvalidValue)
    /// when one of them cannot stand in a From field, [`LogonFailed`](ErrorKind::LogonFailed) when
    /// the owner of the server does not let this address log on. All have the code
    /// `CdoE_LOGON_FAILED`.
    #[doc(alias = "LogonSMTP")]
    pub fn logon_smtp(
        server: &MailServer,
        display_name: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self> {
        Self::log_on(server, &display_name.into(), &address.into(), None)
    }

    /// Logs on at a mailbox that asks who one is (CDO `Logon`): name and address are those of the
    /// [`Credentials`], by default the user name.
    ///
    /// ```no_run
    /// use cdonts::{Credentials, MailServer, Session};
    ///
    /// # fn main() -> cdonts::Result<()> {
    /// # let (server, secret) = (MailServer::temporary()?, "");
    /// let who = Credentials::password("jane@example.com", secret).name("Jane Doe");
    /// let session = Session::logon(&server, who)?;
    /// for message in session.inbox().messages()? {
    ///     println!("{} from {}", message.subject(), message.sender());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LogonFailed`](ErrorKind::LogonFailed) when the server does not take the credentials,
    /// [`NotPrivate`](ErrorKind::NotPrivate) when there is no TLS or a certificate that nobody
    /// trusts, [`Network`](ErrorKind::Network) when it cannot be reached.
    /// [`Configuration`](ErrorKind::Configuration) when nobody checks credentials here: neither the
    /// Inbox nor a hook ([`authenticate`](crate::MailServerBuilder::authenticate)). Else as
    /// [`logon_smtp`](Session::logon_smtp).
    #[doc(alias = "Logon")]
    pub fn logon(server: &MailServer, credentials: Credentials) -> Result<Self> {
        if !credentials.mailbox().contains('@') {
            let message = "the user name is no address: say which one it is of with \
                           `Credentials::address`";
            let error = Error::new(ErrorKind::InvalidAddress, message).with_field("Address");
            return Err(error.with_code(CdoCode::LogonFailed));
        }
        server.authenticate(&credentials)?;
        let (name, address) = (
            credentials.display_name().to_owned(),
            credentials.mailbox().to_owned(),
        );
        Self::log_on(server, &name, &address, Some(credentials))
    }

    fn log_on(
        server: &MailServer,
        name: &str,
        address: &str,
        credentials: Option<Credentials>,
    ) -> Result<Self> {
        let refused = |error: Error| error.with_code(CdoCode::LogonFailed);
        field::check_name("Name", name).map_err(refused)?;
        let checked = Address::parse(address).map_err(|reason| {
            let message = format!("`{}` {reason}", address.escape_debug());
            refused(Error::new(ErrorKind::InvalidAddress, message).with_field("Address"))
        })?;
        let key = checked.key(server.spool().case_sensitive);
        if !server.allows(&key) {
            return Err(Error::new(
                ErrorKind::LogonFailed,
                "the owner of this mail server does not let this address log on",
            )
            .with_field("Address"));
        }
        if server.spool().outbox.is_some() {
            server.spool().check_way(credentials.as_ref())?;
        }
        let address = checked.to_string();
        let mailbox = server.open_mailbox(&LogOn {
            address: &address,
            key: &key,
            credentials: credentials.as_ref(),
            limits: &server.spool().limits,
            state: &server.spool().state,
        })?;
        Ok(Self {
            identity: Arc::new(Identity {
                server: server.clone(),
                name: name.to_owned(),
                address,
                mailbox,
                credentials,
            }),
            message_format: MessageFormat::default(),
            code_page: CodePage::default(),
        })
    }

    /// Ends the session. Its messages and drafts stay good; dropping it does the same. A connection
    /// that is held for it is closed.
    #[doc(alias = "Session.Logoff")]
    pub fn logoff(self) {
        if let Some(mailbox) = &self.identity.mailbox {
            mailbox.close();
        }
    }

    /// The display name given at log-on.
    #[doc(alias = "Session.Name")]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The address given at log-on.
    pub fn address(&self) -> &str {
        &self.identity.address
    }

    /// The version of this library.
    #[doc(alias = "Session.Version")]
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The form of messages that are begun from now on; MIME by default.
    #[doc(alias = "Session.MessageFormat")]
    pub fn message_format(&self) -> MessageFormat {
        self.message_format
    }

    /// Sets the form of messages that are begun from now on. It belongs to this handle and the
    /// folders it gives, not to its other clones.
    pub fn set_message_format(&mut self, format: MessageFormat) -> &mut Self {
        self.message_format = format;
        self
    }

    /// The code page of messages that are begun from now on; UTF-8 by default.
    pub fn code_page(&self) -> CodePage {
        self.code_page
    }

    /// Sets the code page of messages that are begun from now on. It belongs to this handle and the
    /// folders it gives, not to its other clones.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let mut session = Session::logon_smtp(&server, "Иван", "ivan@example.com")?;
    /// session.set_locale_ids(CodePage::try_from(1251)?);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "Session.SetLocaleIDs")]
    #[doc(alias = "SetLocaleIDs")]
    pub fn set_locale_ids(&mut self, code_page: CodePage) -> &mut Self {
        self.code_page = code_page;
        self
    }

    /// The received messages of the address.
    #[doc(alias = "Session.Inbox")]
    pub fn inbox(&self) -> Inbox {
        Inbox::new(self.clone())
    }

    /// Where messages are composed and sent.
    #[doc(alias = "Session.Outbox")]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.clone())
    }

    /// One of the two folders by its number in CDONTS.
    #[doc(alias = "GetDefaultFolder")]
    pub fn get_default_folder(&self, folder: FolderType) -> Folder {
        match folder {
            FolderType::Inbox => Folder::Inbox(self.inbox()),
            FolderType::Outbox => Folder::Outbox(self.outbox()),
        }
    }

    /// Itself: the root of the objects, which has no parent.
    #[doc(alias = "Session.Session")]
    #[doc(alias = "Session.Parent")]
    pub fn session(&self) -> &Self {
        self
    }

    /// The mail server it is logged on at.
    pub fn server(&self) -> &MailServer {
        &self.identity.server
    }

    /// Its messages, wherever they are.
    pub(crate) fn mailbox(&self) -> Result<Arc<dyn Mailbox>> {
        self.server().before_look()?;
        self.identity.mailbox.clone().ok_or_else(no_inbox)
    }

    pub(crate) fn message(&self, stored: Arc<dyn StoredMessage>) -> Message {
        Message::new(stored, Some(self.clone()), &self.server().spool().limits)
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.identity.credentials.as_ref()
    }
}

pub(crate) fn no_inbox() -> Error {
    let message = "the mail server has nothing to read from; set a directory with `drop_dir`, or \
                   another store with `inbox`";
    Error::new(ErrorKind::Configuration, message)
}
