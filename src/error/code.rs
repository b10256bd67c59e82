//! The error codes of CDONTS (`CdoErrorType`).

use std::fmt;

macro_rules! codes {
    ($($variant:ident = $name:literal, $value:literal;)*) => {
        /// An error code of CDONTS: what a port of a CDONTS program compares `Err.Number` with.
        ///
        /// All codes of the original are here, most of them inherited from MAPI; which ones this
        /// library gives is said at [`ErrorKind`](crate::ErrorKind). `Display` prints the name.
        ///
        /// ```
        /// use cdonts::CdoCode;
        ///
        /// assert_eq!(CdoCode::NoRecipients.to_string(), "CdoE_NO_RECIPIENTS");
        /// assert_eq!(CdoCode::NoRecipients.value(), 0x8004_0607);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CdoCode {
            $(#[doc = concat!("`", $name, "`, ", stringify!($value))] $variant,)*
        }

        impl CdoCode {
            /// Every code, in the order of the CDONTS type library.
            pub const ALL: &'static [CdoCode] = &[$(CdoCode::$variant),*];

            /// The name in CDONTS, such as `CdoE_NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self { $(CdoCode::$variant => $name,)* }
            }

            /// The number (an HRESULT).
            pub const fn value(self) -> u32 {
                match self { $(CdoCode::$variant => $value,)* }
            }
        }
    };
}

impl fmt::Display for CdoCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

codes! {
    CallFailed = "CdoE_CALL_FAILED", 0x8000_4005;
    NotEnoughMemory = "CdoE_NOT_ENOUGH_MEMORY", 0x8007_000E;
    InvalidParameter = "CdoE_INVALID_PARAMETER", 0x8007_0057;
    InterfaceNotSupported = "CdoE_INTERFACE_NOT_SUPPORTED", 0x8000_4002;
    NoAccess = "CdoE_NO_ACCESS", 0x8007_0005;
    NoSupport = "CdoE_NO_SUPPORT", 0x8004_0102;
    BadCharwidth = "CdoE_BAD_CHARWIDTH", 0x8004_0103;
    StringTooLong = "CdoE_STRING_TOO_LONG", 0x8004_0105;
    UnknownFlags = "CdoE_UNKNOWN_FLAGS", 0x8004_0106;
    InvalidEntryid = "CdoE_INVALID_ENTRYID", 0x8004_0107;
    InvalidObject = "CdoE_INVALID_OBJECT", 0x8004_0108;
    ObjectChanged = "CdoE_OBJECT_CHANGED", 0x8004_0109;
    ObjectDeleted = "CdoE_OBJECT_DELETED", 0x8004_010A;
    Busy = "CdoE_BUSY", 0x8004_010B;
    NotEnoughDisk = "CdoE_NOT_ENOUGH_DISK", 0x8004_010D;
    NotEnoughResources = "CdoE_NOT_ENOUGH_RESOURCES", 0x8004_010E;
    NotFound = "CdoE_NOT_FOUND", 0x8004_010F;
    Version = "CdoE_VERSION", 0x8004_0110;
    LogonFailed = "CdoE_LOGON_FAILED", 0x8004_0111;
    SessionLimit = "CdoE_SESSION_LIMIT", 0x8004_0112;
    UserCancel = "CdoE_USER_CANCEL", 0x8004_0113;
    UnableToAbort = "CdoE_UNABLE_TO_ABORT", 0x8004_0114;
    NetworkError = "CdoE_NETWORK_ERROR", 0x8004_0115;
    DiskError = "CdoE_DISK_ERROR", 0x8004_0116;
    TooComplex = "CdoE_TOO_COMPLEX", 0x8004_0117;
    BadColumn = "CdoE_BAD_COLUMN", 0x8004_0118;
    ExtendedError = "CdoE_EXTENDED_ERROR", 0x8004_0119;
    Computed = "CdoE_COMPUTED", 0x8004_011A;
    CorruptData = "CdoE_CORRUPT_DATA", 0x8004_011B;
    Unconfigured = "CdoE_UNCONFIGURED", 0x8004_011C;
    Failoneprovider = "CdoE_FAILONEPROVIDER", 0x8004_011D;
    UnknownCpid = "CdoE_UNKNOWN_CPID", 0x8004_011E;
    UnknownLcid = "CdoE_UNKNOWN_LCID", 0x8004_011F;
    PasswordChangeRequired = "CdoE_PASSWORD_CHANGE_REQUIRED", 0x8004_0120;
    PasswordExpired = "CdoE_PASSWORD_EXPIRED", 0x8004_0121;
    InvalidWorkstationAccount = "CdoE_INVALID_WORKSTATION_ACCOUNT", 0x8004_0122;
    InvalidAccessTime = "CdoE_INVALID_ACCESS_TIME", 0x8004_0123;
    AccountDisabled = "CdoE_ACCOUNT_DISABLED", 0x8004_0124;
    EndOfSession = "CdoE_END_OF_SESSION", 0x8004_0200;
    UnknownEntryid = "CdoE_UNKNOWN_ENTRYID", 0x8004_0201;
    MissingRequiredColumn = "CdoE_MISSING_REQUIRED_COLUMN", 0x8004_0202;
    NoService = "CdoW_NO_SERVICE", 0x0004_0203;
    BadValue = "CdoE_BAD_VALUE", 0x8004_0301;
    InvalidType = "CdoE_INVALID_TYPE", 0x8004_0302;
    TypeNoSupport = "CdoE_TYPE_NO_SUPPORT", 0x8004_0303;
    UnexpectedType = "CdoE_UNEXPECTED_TYPE", 0x8004_0304;
    TooBig = "CdoE_TOO_BIG", 0x8004_0305;
    DeclineCopy = "CdoE_DECLINE_COPY", 0x8004_0306;
    UnexpectedId = "CdoE_UNEXPECTED_ID", 0x8004_0307;
    ErrorsReturned = "CdoW_ERRORS_RETURNED", 0x0004_0380;
    UnableToComplete = "CdoE_UNABLE_TO_COMPLETE", 0x8004_0400;
    Timeout = "CdoE_TIMEOUT", 0x8004_0401;
    TableEmpty = "CdoE_TABLE_EMPTY", 0x8004_0402;
    TableTooBig = "CdoE_TABLE_TOO_BIG", 0x8004_0403;
    InvalidBookmark = "CdoE_INVALID_BOOKMARK", 0x8004_0405;
    PositionChanged = "CdoW_POSITION_CHANGED", 0x0004_0481;
    ApproxCount = "CdoW_APPROX_COUNT", 0x0004_0482;
    Wait = "CdoE_WAIT", 0x8004_0500;
    Cancel = "CdoE_CANCEL", 0x8004_0501;
    NotMe = "CdoE_NOT_ME", 0x8004_0502;
    CancelMessage = "CdoW_CANCEL_MESSAGE", 0x0004_0580;
    CorruptStore = "CdoE_CORRUPT_STORE", 0x8004_0600;
    NotInQueue = "CdoE_NOT_IN_QUEUE", 0x8004_0601;
    NoSuppress = "CdoE_NO_SUPPRESS", 0x8004_0602;
    Collision = "CdoE_COLLISION", 0x8004_0604;
    NotInitialized = "CdoE_NOT_INITIALIZED", 0x8004_0605;
    NonStandard = "CdoE_NON_STANDARD", 0x8004_0606;
    NoRecipients = "CdoE_NO_RECIPIENTS", 0x8004_0607;
    Submitted = "CdoE_SUBMITTED", 0x8004_0608;
    HasFolders = "CdoE_HAS_FOLDERS", 0x8004_0609;
    HasMessages = "CdoE_HAS_MESSAGES", 0x8004_060A;
    FolderCycle = "CdoE_FOLDER_CYCLE", 0x8004_060B;
    PartialCompletion = "CdoW_PARTIAL_COMPLETION", 0x0004_0680;
    AmbiguousRecip = "CdoE_AMBIGUOUS_RECIP", 0x8004_0700;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_its_own_name_and_number() {
        let names: HashSet<_> = CdoCode::ALL.iter().map(|code| code.name()).collect();
        let numbers: HashSet<_> = CdoCode::ALL.iter().map(|code| code.value()).collect();
        assert_eq!(names.len(), CdoCode::ALL.len());
        assert_eq!(numbers.len(), CdoCode::ALL.len());
    }
}
