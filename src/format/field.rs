//! Header fields to bytes: the one place where a value is checked and written.
//!
//! It guarantees that no value can begin a field or end the header section, that no line is over
//! 998 octets, and that encoded words have at most 75 and never split a character.

mod words;

use super::address::{Address, is_atom_text, is_forbidden, is_printable};
use super::code_page::Charset;
use super::encode::push_escape;
use crate::error::{Error, ErrorKind, Result};
use words::encoded_words;

/// A line is folded before it is longer (RFC 5322 section 2.1.1).
const WANTED: usize = 78;
/// A line is never longer.
const LONGEST: usize = 998;

/// A display name and an address that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(crate) name: String,
    pub(crate) address: Address,
}

/// Refuses what would end the field or show a reader something else than was sent.
pub(crate) fn check(field: &str, value: &str) -> Result<()> {
    if is_printable(value) {
        return Ok(());
    }
    let bad = value
        .chars()
        .find(|&c| c != '\t' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')));
    match bad {
        None => Ok(()),
        Some(character) => Err(invalid(
            field,
            format!(
                "the value holds the control character {}; remove it",
                character.escape_unicode()
            ),
        )),
    }
}

/// The same for a name that a reader sees beside an address: nor may it reorder what is shown.
pub(crate) fn check_name(field: &str, name: &str) -> Result<()> {
    if is_printable(name) {
        return Ok(());
    }
    check(field, name)?;
    let hidden = |c: char| c == '\t' || (is_forbidden(c) && !matches!(c, '\u{200c}' | '\u{200d}'));
    match name.chars().find(|&c| hidden(c)) {
        None => Ok(()),
        Some(character) => Err(invalid(
            field,
            format!(
                "the name holds the invisible character {}",
                character.escape_unicode()
            ),
        )),
    }
}

/// Checks the name of a field (RFC 5322 section 3.6.8).
pub(crate) fn check_field_name(name: &str) -> Result<()> {
    let valid = (1..=76).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':');
    if valid {
        return Ok(());
    }
    Err(invalid(
        name,
        "this is no name of a header field: 1 to 76 printable ASCII characters without colon",
    ))
}

fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidValue, message).with_field(field)
}

/// Appends a field of free text, such as Subject.
pub(crate) fn unstructured(to: &mut String, name: &str, value: &str, charset: Charset) {
    let longest_word = value.split([' ', '\t']).map(str::len).max().unwrap_or(0);
    let plain = value.is_ascii()
        && !value.contains("=?")
        && value.trim() == value
        && longest_word + name.len() + 2 < LONGEST;
    begin(to, name);
    let column = name.len() + 2;
    if plain {
        push_folded(to, value, column);
    } else {
        to.push_str(&encoded_words(value, column, false, charset));
    }
    finish(to);
}

/// Appends a field whose value is written as it is: an identifier, a date, a token.
pub(crate) fn verbatim(to: &mut String, name: &str, value: &str) {
    begin(to, name);
    to.push_str(value);
    finish(to);
}

/// Appends a field of mailboxes, folded between them.
pub(crate) fn mailboxes(to: &mut String, name: &str, list: &[Mailbox], charset: Charset) {
    to.push_str(name);
    to.push(':');
    for (index, mailbox) in list.iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        let before = column(to);
        let start = to.len();
        to.push(' ');
        push_mailbox(to, mailbox, charset);
        let text = to.get(start..).unwrap_or_default();
        let first_line = text.find("\r\n").unwrap_or(text.len());
        if index > 0 && before + first_line > WANTED {
            to.insert_str(start, "\r\n");
        }
    }
    finish(to);
}

/// How much the last line holds.
fn column(text: &str) -> usize {
    text.len() - text.rfind('\n').map_or(0, |end| end + 1)
}

fn push_mailbox(to: &mut String, mailbox: &Mailbox, charset: Charset) {
    if mailbox.name.is_empty() {
        return mailbox.address.append_to(to);
    }
    let start = to.len();
    push_phrase(to, &mailbox.name, charset);
    let is_folded = to.get(start..).unwrap_or_default().contains("\r\n");
    let end = to.len();
    to.push_str(" <");
    mailbox.address.append_to(to);
    to.push('>');
    if is_folded && column(to) > WANTED {
        to.insert_str(end, "\r\n");
    }
}

/// A display name: as it is, quoted, or encoded.
fn push_phrase(to: &mut String, name: &str, charset: Charset) {
    let is_atom = |byte| is_atom_text(byte) || byte == b' ';
    let encode = !name.is_ascii() || name.contains("=?") || name.len() > 400 || name.contains('\t');
    if encode {
        let words = encoded_words(name, column(to), true, charset);
        to.push_str(&words);
    } else if name.bytes().all(is_atom) && name.trim() == name && !name.contains("  ") {
        to.push_str(name);
    } else {
        to.push_str(&quoted(name));
    }
}

/// A quoted string (RFC 5322 section 3.2.4).
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

fn begin(to: &mut String, name: &str) {
    to.push_str(name);
    to.push_str(": ");
}

fn finish(to: &mut String) {
    to.truncate(to.trim_end_matches([' ', '\t']).len());
    to.push_str("\r\n");
}

/// Folds plain text at blanks that are there, so that no line consists of blanks only.
fn push_folded(to: &mut String, value: &str, mut column: usize) {
    if column + value.len() <= WANTED {
        return to.push_str(value);
    }
    let start = to.len();
    let mut rest = value;
    while !rest.is_empty() {
        let word_at = rest.find(|c| c != ' ' && c != '\t').unwrap_or(rest.len());
        let (blanks, from) = rest.split_at_checked(word_at).unwrap_or((rest, ""));
        let word_len = from.find([' ', '\t']).unwrap_or(from.len());
        let (word, after) = from.split_at_checked(word_len).unwrap_or((from, ""));
        let is_first = to.len() == start;
        if !blanks.is_empty() && !is_first && column + blanks.len() + word.len() > WANTED {
            to.push_str("\r\n");
            column = 0;
        }
        to.push_str(blanks);
        to.push_str(word);
        column += blanks.len() + word.len();
        rest = after;
    }
}

/// A parameter behind a fold: quoted, or by RFC 2231 when it is not ASCII or long.
pub(crate) fn parameter(name: &str, value: &str) -> String {
    if value.is_ascii() && value.len() + name.len() < WANTED - 6 {
        return format!(";\r\n {name}={}", quoted(value));
    }
    let mut encoded = String::new();
    let mut pieces = Vec::new();
    for character in value.chars() {
        let mut one = String::new();
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                one.push(char::from(byte));
            } else {
                push_escape(&mut one, b'%', byte);
            }
        }
        if encoded.len() + one.len() > 50 {
            pieces.push(std::mem::take(&mut encoded));
        }
        encoded.push_str(&one);
    }
    pieces.push(encoded);
    match pieces.as_slice() {
        [single] => format!(";\r\n {name}*=utf-8''{single}"),
        _ => pieces
            .iter()
            .enumerate()
            .map(|(index, piece)| {
                let charset = if index == 0 { "utf-8''" } else { "" };
                format!(";\r\n {name}*{index}*={charset}{piece}")
            })
            .collect(),
    }
}

/// The plain `name` of a file beside its `filename`, for readers that know only that one.
pub(crate) fn name_parameter(value: &str, charset: Charset) -> String {
    if value.is_ascii() && value.len() < WANTED - 10 {
        return format!(";\r\n name={}", quoted(value));
    }
    let words = encoded_words(value, 7, true, charset);
    format!(";\r\n name=\"{words}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_with_states_is_never_quoted_printable() {
        let charset = Charset::of_code_page(50220).unwrap();
        let field = unstructured("Subject", "mostly in plain letters, then 日", charset);
        assert!(
            field.contains("=?iso-2022-jp?B?") && !field.contains("?Q?"),
            "{field}"
        );
    }

    #[test]
    fn the_column_is_that_of_the_last_line() {
        for (text, held) in [("", 0), ("abc", 3), ("abc\r\n", 0), ("\r\nab\r\ncde", 3)] {
            assert_eq!(column(text), held, "{text:?}");
        }
    }

    fn unstructured(name: &str, value: &str, charset: Charset) -> String {
        let mut field = String::new();
        super::unstructured(&mut field, name, value, charset);
        field
    }

    fn mailboxes(name: &str, list: &[Mailbox], charset: Charset) -> String {
        let mut field = String::new();
        super::mailboxes(&mut field, name, list, charset);
        field
    }

    fn one(name: &str, address: &str) -> Mailbox {
        Mailbox {
            name: name.to_owned(),
            address: Address::parse(address).unwrap(),
        }
    }

    #[test]
    fn free_text_has_exact_bytes() {
        let long = "word ".repeat(30);
        for (value, expected) in [
            ("Hello", "Subject: Hello\r\n".to_owned()),
            ("", "Subject:\r\n".to_owned()),
            (
                "Grüße",
                "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n".to_owned(),
            ),
            ("漢字", "Subject: =?utf-8?B?5ryi5a2X?=\r\n".to_owned()),
            (
                "=?utf-8?Q?fake?=",
                "Subject: =?us-ascii?Q?=3D=3Futf-8=3FQ=3Ffake=3F=3D?=\r\n".to_owned(),
            ),
            ("abc ", "Subject: =?us-ascii?Q?abc_?=\r\n".to_owned()),
            (
                long.trim(),
                format!(
                    "Subject: {}\r\n {}\r\n {}\r\n",
                    "word ".repeat(14).trim(),
                    "word ".repeat(15).trim(),
                    "word"
                ),
            ),
        ] {
            assert_eq!(
                unstructured("Subject", value, Charset::UTF_8),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn names_are_plain_quoted_or_encoded() {
        for (name, expected) in [
            ("", "To: z@b.example\r\n"),
            ("Jane Doe", "To: Jane Doe <z@b.example>\r\n"),
            ("Doe, Jane", "To: \"Doe, Jane\" <z@b.example>\r\n"),
            ("J. \"D\"", "To: \"J. \\\"D\\\"\" <z@b.example>\r\n"),
            (
                "Jän, Doe",
                "To: =?utf-8?Q?J=C3=A4n=2C_Doe?= <z@b.example>\r\n",
            ),
            ("a@x <b>", "To: \"a@x <b>\" <z@b.example>\r\n"),
        ] {
            assert_eq!(
                mailboxes("To", &[one(name, "z@b.example")], Charset::UTF_8),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn many_mailboxes_are_folded() {
        let list: Vec<_> = (0..300)
            .map(|n| one("", &format!("user{n}@b.example")))
            .collect();
        let field = mailboxes("To", &list, Charset::UTF_8);
        assert!(field.split("\r\n").all(|line| line.len() <= WANTED));
        let unfolded = field.replace("\r\n", "");
        let read = super::super::address_list::parse(&unfolded.as_bytes()[3..], 999);
        assert_eq!(read.len(), 300);
    }

    #[test]
    fn file_names_follow_rfc_2231() {
        assert_eq!(
            parameter("filename", "a \"b\".txt"),
            ";\r\n filename=\"a \\\"b\\\".txt\""
        );
        assert_eq!(
            parameter("filename", "é.pdf"),
            ";\r\n filename*=utf-8''%C3%A9.pdf"
        );
        let long = parameter("filename", &"é".repeat(20));
        assert!(
            long.starts_with(";\r\n filename*0*=utf-8''%C3%A9") && long.contains("filename*1*=%")
        );
    }

    #[test]
    fn controls_are_refused_and_the_field_named() {
        for value in [
            "a\r\nX: y",
            "a\nb",
            "a\rb",
            "a\0b",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{2028}b",
        ] {
            let error = check("Subject", value).unwrap_err();
            assert_eq!(error.field(), Some("Subject"));
            assert!(!error.to_string().contains(['\r', '\n', '\0']));
        }
        assert!(check("Subject", "tab\tis fine").is_ok());
        assert!(check_name("To", "jane\u{202e}moc").is_err());
        for name in ["", "X A", "X:A", "X-A\r\nX-Inj", "Xé", &"x".repeat(77)] {
            assert!(check_field_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn words_are_in_the_character_set_asked_for_or_else_whole_in_utf_8() {
        let page = |id| Charset::of_code_page(id).unwrap();
        for (id, value, expected) in [
            (1251, "Привет", "=?windows-1251?B?z/Do4uXy?="),
            (28591, "café", "=?iso-8859-1?Q?caf=E9?="),
            (28591, "5 €", "=?utf-8?Q?5_=E2=82=AC?="),
            (932, "日本", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?="),
        ] {
            let field = unstructured("Subject", value, page(id));
            assert_eq!(field, format!("Subject: {expected}\r\n"));
        }
        let long = unstructured("Subject", &"日本語".repeat(30), page(932));
        assert!(long.split("\r\n").all(|line| line.len() <= WANTED));
        let read = super::super::fields::first(long.as_bytes(), "Subject")
            .unwrap()
            .text();
        assert_eq!(read, "日本語".repeat(30));
    }

    proptest::proptest! {
        #[test]
        fn free_text_is_read_back(value in "[ -~é漢😀\t]{0,300}") {
            let field = unstructured("Subject", &value, Charset::UTF_8);
            for line in field.split("\r\n") {
                proptest::prop_assert!(line.len() <= LONGEST);
                for word in line.split(' ').filter(|word| word.starts_with("=?")) {
                    proptest::prop_assert!(!value.is_ascii() && word.len() <= 75 || value.is_ascii());
                }
            }
            let read = super::super::encoded_word::decode(&super::super::fields::unfold(&field.as_bytes()[8..]));
            proptest::prop_assert_eq!(read.trim_matches(' '), value.trim_matches(' '));
        }

        #[test]
        fn a_name_is_read_back(name in "[ -~é漢😀]{1,120}") {
            let field = mailboxes("To", &[one(&name, "z@b.example")], Charset::UTF_8);
            let read = super::super::address_list::parse(&super::super::fields::unfold(&field.as_bytes()[3..]), 9);
            proptest::prop_assert_eq!(read.len(), 1);
            proptest::prop_assert_eq!(&read[0].address, "z@b.example");
            let squeezed = |text: &str| text.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
            proptest::prop_assert_eq!(squeezed(&read[0].name), squeezed(&name));
        }
    }
}
