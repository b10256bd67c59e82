//! A choice by its number in CDONTS, as older programs have it in their settings and forms.

use std::fmt::Debug;

use crate::error::{Error, ErrorKind, Result};
use crate::{
    AttachmentType, BodyFormat, EncodingMethod, FolderType, Importance, MessageFormat,
    RecipientType,
};

/// What has that number among all that there are.
fn of_number<T: Copy + Debug>(name: &str, all: &[(T, i32)], number: i32) -> Result<T> {
    if let Some((choice, _)) = all.iter().find(|(_, own)| *own == number) {
        return Ok(*choice);
    }
    let all: Vec<_> = all
        .iter()
        .map(|(choice, own)| format!("{own} ({choice:?})"))
        .collect();
    let message = format!("{number} is none of {name}: {}", all.join(", "));
    Err(Error::new(ErrorKind::InvalidValue, message).with_field(name))
}

macro_rules! numbered {
    ($($choice:ident, $name:literal: $($one:ident),+;)+) => {$(
        #[doc = concat!("By its number among the `", $name, "`; another number is an")]
        /// [`InvalidValue`](ErrorKind::InvalidValue).
        impl TryFrom<i32> for $choice {
            type Error = Error;

            fn try_from(number: i32) -> Result<Self> {
                let all = [$((Self::$one, Self::$one as i32)),+];
                of_number($name, &all, number)
            }
        }
    )+};
}

numbered! {
    AttachmentType, "CdoAttachmentTypes": FileData, EmbeddedMessage;
    BodyFormat, "CdoBodyFormats": Html, Text;
    EncodingMethod, "CdoEncodingMethod": UuEncode, Base64;
    FolderType, "CdoFolderTypes": Inbox, Outbox;
    Importance, "CdoImportance": Low, Normal, High;
    MessageFormat, "CdoMessageFormats": Mime, Text;
    RecipientType, "CdoRecipientTypes": To, Cc, Bcc;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of CDONTS, not those of our order.
    #[test]
    fn each_choice_has_its_number() {
        assert_eq!(
            AttachmentType::try_from(4).unwrap(),
            AttachmentType::EmbeddedMessage
        );
        assert_eq!(BodyFormat::try_from(0).unwrap(), BodyFormat::Html);
        assert_eq!(EncodingMethod::try_from(1).unwrap(), EncodingMethod::Base64);
        assert_eq!(FolderType::try_from(1).unwrap(), FolderType::Inbox);
        assert_eq!(Importance::try_from(2).unwrap(), Importance::High);
        assert_eq!(MessageFormat::try_from(1).unwrap(), MessageFormat::Text);
        assert_eq!(RecipientType::try_from(3).unwrap(), RecipientType::Bcc);
    }

    #[test]
    fn a_number_that_none_has_is_told_with_those_there_are() {
        let error = Importance::try_from(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        let said = error.to_string();
        assert!(said.contains("3 is none of CdoImportance"), "{said}");
        assert!(said.contains("0 (Low), 1 (Normal), 2 (High)"), "{said}");
        for number in [i32::MIN, -1, 0, 4, i32::MAX] {
            assert!(RecipientType::try_from(number).is_err(), "{number}");
        }
    }
}
