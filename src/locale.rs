//! In which character set messages are sent.

use crate::error::{Error, ErrorKind};
use crate::format::code_page::Charset;

/// A Windows code page, by its number: the character set of the messages of a session
/// ([`Session::set_locale_ids`](crate::Session::set_locale_ids)) or of one
/// [`NewMail`](crate::NewMail::set_locale_ids). UTF-8 without one.
///
/// Known are 437, 850, 866, 874, 932, 936, 949, 950, 1250 to 1258, 20866, 28591 to 28605 (but not
/// 28602), 50220, 65000 and 65001. The message is labelled with the page's own name: 1251 is
/// `windows-1251`. 932 and 50220 are sent as `iso-2022-jp`, 65000 as `utf-8`. A message with a
/// character that the page lacks goes out in UTF-8 as a whole.
///
/// ```
/// use cdonts::{CodePage, ErrorKind};
///
/// let cyrillic = CodePage::try_from(1251)?;
/// assert_eq!(cyrillic.id(), 1251);
/// assert_eq!(CodePage::try_from(1).unwrap_err().kind(), ErrorKind::InvalidValue);
/// # Ok::<(), cdonts::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodePage(u32);

impl CodePage {
    /// UTF-8, 65001.
    pub const UTF_8: Self = Self(65001);

    /// The number of the page.
    pub const fn id(self) -> u32 {
        self.0
    }

    pub(crate) fn charset(self) -> Charset {
        Charset::of_code_page(self.0).unwrap_or(Charset::UTF_8)
    }
}

impl Default for CodePage {
    fn default() -> Self {
        Self::UTF_8
    }
}

impl TryFrom<u32> for CodePage {
    type Error = Error;

    /// # Errors
    /// [`InvalidValue`](ErrorKind::InvalidValue) (`CdoE_INVALID_PARAMETER`) for a page that is not
    /// known.
    fn try_from(id: u32) -> Result<Self, Error> {
        match Charset::of_code_page(id) {
            Some(_) => Ok(Self(id)),
            None => Err(Error::new(
                ErrorKind::InvalidValue,
                format!("there is no code page {id} to send mail in; use 65001, which is UTF-8"),
            )),
        }
    }
}
