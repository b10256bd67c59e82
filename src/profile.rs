//! Profiles: how a mail server wrote the envelope into the files of its drop directory.

/// How the mail server that fills a drop directory writes for whom a file is.
///
/// Set by the owner of the directory and never guessed from a file: below the fields that the
/// server puts on top stands the sender's text, in which every field can be forged. With the
/// wrong profile files are mostly nobody's, and [`MailServer::unclaimed`] shows them.
///
/// [`MailServer::unclaimed`]: crate::MailServer::unclaimed
///
/// ```
/// use cdonts::{MailServer, Profile};
///
/// let builder = MailServer::builder().drop_dir("/var/mail/shared", Profile::Postfix);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// The SMTP service of IIS, and this crate's own delivery: `X-Sender` and one `X-Receiver`
    /// for each recipient.
    #[default]
    IisDrop,
    /// Postfix (local, virtual, and pipe with the flags D and O): the topmost `Delivered-To`.
    Postfix,
    /// Exim with `envelope_to_add`: the topmost `Envelope-to`, a list.
    Exim,
    /// OpenSMTPD: the topmost `Delivered-To`.
    OpenSmtpd,
    /// Dovecot's LMTP server with one recipient per transaction: the topmost `Delivered-To`.
    Dovecot,
    /// A writer that puts nothing on top: every file is nobody's.
    None,
    /// As [`IisDrop`](Profile::IisDrop), but a file without such fields belongs to whom its To,
    /// Cc and Bcc name. That is a guess which any sender can forge: only for a directory into
    /// which nobody else can write.
    HeaderFallback,
}

impl Profile {
    /// The name in settings and on command lines, such as `iis-drop`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IisDrop => "iis-drop",
            Self::Postfix => "postfix",
            Self::Exim => "exim",
            Self::OpenSmtpd => "opensmtpd",
            Self::Dovecot => "dovecot",
            Self::None => "none",
            Self::HeaderFallback => "header-fallback",
        }
    }

    /// The profile of that [name](Profile::name).
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::IisDrop,
            Self::Postfix,
            Self::Exim,
            Self::OpenSmtpd,
            Self::Dovecot,
            Self::None,
            Self::HeaderFallback,
        ]
        .into_iter()
        .find(|profile| profile.name() == name)
    }
}
