//! Importance.

/// How important a message is (`CdoImportance`).
///
/// ```
/// use cdonts::Importance;
///
/// assert_eq!(Importance::default(), Importance::Normal);
/// assert_eq!(Importance::High as i32, 2);
/// assert_eq!(Importance::try_from(2)?, Importance::High);
/// # Ok::<(), cdonts::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "CdoImportance")]
pub enum Importance {
    /// `CdoLow`, 0.
    Low = 0,
    /// `CdoNormal`, 1, the default.
    #[default]
    Normal = 1,
    /// `CdoHigh`, 2.
    High = 2,
}

impl Importance {
    /// The word in the Importance field (RFC 2156 section 5.3.4).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The importance of that word or of the number of CDONTS, whatever the case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "low" | "non-urgent" | "0" => Some(Self::Low),
            "normal" | "1" => Some(Self::Normal),
            "high" | "urgent" | "2" => Some(Self::High),
            _ => None,
        }
    }

    /// The importance of an X-Priority, such as `1 (Highest)`.
    pub(crate) fn from_priority(value: &str) -> Option<Self> {
        match value.trim().chars().next()? {
            '1' | '2' => Some(Self::High),
            '3' => Some(Self::Normal),
            '4' | '5' => Some(Self::Low),
            _ => None,
        }
    }
}
