//! What a server says it can do (RFC 5321 section 4.1.1.1).

/// The extensions that make a difference here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an extension of its own"
)]
pub(super) struct Extensions {
    pub(super) starttls: bool,
    pub(super) eight_bit: bool,
    pub(super) utf8: bool,
    pub(super) dsn: bool,
    /// The largest message, if the server said.
    pub(super) size: Option<u64>,
    pub(super) is_sizing: bool,
    /// In upper case.
    pub(super) auth: Vec<String>,
}

impl Extensions {
    /// Of the lines of a reply to EHLO, but for the first, which is a greeting.
    pub(super) fn of(lines: &[String]) -> Self {
        let mut known = Self::default();
        for line in lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // Old servers write `AUTH=LOGIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => known.starttls = true,
                Some("8BITMIME") => known.eight_bit = true,
                Some("SMTPUTF8") => known.utf8 = true,
                Some("DSN") => known.dsn = true,
                Some("SIZE") => {
                    known.is_sizing = true;
                    let size = words.next().and_then(|size| size.parse().ok());
                    // Zero is no limit (RFC 1870 section 4).
                    known.size = size.filter(|&size| size > 0);
                }
                Some("AUTH") => known.auth.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_known_in_any_case_and_form() {
        let lines = [
            "relay greets you",
            "size 1000",
            "starttls",
            "AUTH PLAIN login",
            "AUTH=XOAUTH2",
            "8bitmime",
            "X-Odd",
        ];
        let known = Extensions::of(&lines.map(str::to_owned));
        let expected = Extensions {
            starttls: true,
            eight_bit: true,
            size: Some(1000),
            is_sizing: true,
            auth: ["PLAIN", "LOGIN", "XOAUTH2"].map(str::to_owned).to_vec(),
            ..Extensions::default()
        };
        assert_eq!(known, expected);
        let none = Extensions::of(&["SIZE 0".to_owned(), "SIZE 0".to_owned()]);
        assert_eq!((none.size, none.is_sizing), (None, true));
    }
}
