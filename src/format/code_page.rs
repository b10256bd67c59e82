//! Text to the character sets of the Windows code pages: whole, or not at all.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// A character set that mail is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charset {
    /// What the message says it is.
    pub(crate) label: &'static str,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Utf8,
    /// By the web's table of that name, which reads some of these sets as larger ones.
    Web(&'static str),
    /// One octet a character; the upper half is this text.
    Table(&'static str),
}

impl Charset {
    pub(crate) const UTF_8: Self = Self {
        label: "utf-8",
        form: Form::Utf8,
    };

    /// The character set of a Windows code page.
    pub(crate) fn of_code_page(id: u32) -> Option<Self> {
        let table = |label, upper| Self {
            label,
            form: Form::Table(upper),
        };
        match id {
            65000 | 65001 => Some(Self::UTF_8),
            437 => Some(table("ibm437", CP437)),
            850 => Some(table("ibm850", CP850)),
            _ => LABELS
                .iter()
                .find(|(page, _)| *page == id)
                .map(|&(_, label)| Self {
                    label,
                    form: Form::Web(label),
                }),
        }
    }

    /// The text in this character set; `None` if a character of it is lacking.
    pub(crate) fn encode<'a>(&self, text: &'a str) -> Option<Cow<'a, [u8]>> {
        if self.form == Form::Utf8 || text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        match self.form {
            Form::Utf8 => None,
            Form::Web(label) => encode_web(label, text).map(Cow::Owned),
            Form::Table(upper) => encode_table(upper, text).map(Cow::Owned),
        }
    }

    /// Whether its text changes its meaning with what came before: each piece stands alone then.
    pub(crate) fn is_stateful(&self) -> bool {
        self.label == "iso-2022-jp"
    }
}

fn encode_web(label: &'static str, text: &str) -> Option<Vec<u8>> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    let (bytes, _, lacking) = encoding.encode(text);
    // The web reads iso-8859-1 and its kin as Windows pages, with letters where they have
    // controls, and euc-kr as a larger set whose octets other readers do not know.
    let is_beyond = |byte: &u8| match label {
        "euc-kr" => (0x80..0xa1).contains(byte),
        _ => label.starts_with("iso-8859-") && (0x80..0xa0).contains(byte),
    };
    // iso-2022-jp has no half-width kana, and the web's table writes the full-width ones instead.
    let is_half_width = |c: char| ('\u{ff61}'..='\u{ff9f}').contains(&c);
    let is_replaced = label == "iso-2022-jp" && text.contains(is_half_width);
    let is_outside =
        lacking || is_replaced || bytes.iter().any(is_beyond) || is_large_korean(label, &bytes);
    (!is_outside).then(|| bytes.into_owned())
}

/// A syllable of the larger Korean set may have a second octet in ASCII.
fn is_large_korean(label: &str, bytes: &[u8]) -> bool {
    let mut rest = bytes.iter();
    label == "euc-kr"
        && std::iter::from_fn(|| {
            let first = rest.next()?;
            Some(!first.is_ascii() && rest.next().is_none_or(u8::is_ascii))
        })
        .any(|is_large| is_large)
}

fn encode_table(upper: &str, text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|character| {
            if character.is_ascii() {
                return u8::try_from(character).ok();
            }
            let index = upper.chars().position(|known| known == character)?;
            u8::try_from(index + 128).ok()
        })
        .collect()
}

/// The upper half of a character set that neither of our libraries reads.
pub(super) fn upper_half(label: &[u8]) -> Option<&'static str> {
    let is = |names: &[&str]| {
        names
            .iter()
            .any(|name| label.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is(&["ibm437", "cp437", "437", "cspc8codepage437"]) {
        Some(CP437)
    } else if is(&["ibm850", "cp850", "850", "cspc850multilingual"]) {
        Some(CP850)
    } else {
        None
    }
}

const LABELS: &[(u32, &str)] = &[
    (866, "ibm866"),
    (874, "windows-874"),
    (932, "iso-2022-jp"),
    (936, "gbk"),
    (949, "euc-kr"),
    (950, "big5"),
    (1250, "windows-1250"),
    (1251, "windows-1251"),
    (1252, "windows-1252"),
    (1253, "windows-1253"),
    (1254, "windows-1254"),
    (1255, "windows-1255"),
    (1256, "windows-1256"),
    (1257, "windows-1257"),
    (1258, "windows-1258"),
    (20866, "koi8-r"),
    (28591, "iso-8859-1"),
    (28592, "iso-8859-2"),
    (28593, "iso-8859-3"),
    (28594, "iso-8859-4"),
    (28595, "iso-8859-5"),
    (28596, "iso-8859-6"),
    (28597, "iso-8859-7"),
    (28598, "iso-8859-8"),
    (28599, "iso-8859-9"),
    (28600, "iso-8859-10"),
    (28601, "iso-8859-11"),
    (28603, "iso-8859-13"),
    (28604, "iso-8859-14"),
    (28605, "iso-8859-15"),
    (50220, "iso-2022-jp"),
];

const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::charset;

    #[test]
    fn every_page_writes_what_is_read_back_under_its_label() {
        let samples = [
            (437, "é├π"),
            (850, "é©Ð"),
            (866, "Жд"),
            (874, "ไทย"),
            (932, "日本語カナ"),
            (936, "汉字"),
            (949, "한글"),
            (950, "漢字"),
            (1250, "łž"),
            (1251, "Жд"),
            (1252, "é€"),
            (1253, "αβ"),
            (1254, "ğş"),
            (1255, "שלום"),
            (1256, "سلام"),
            (1257, "ąž"),
            (1258, "đơ"),
            (20866, "Жд"),
            (28591, "éß"),
            (28592, "łž"),
            (28593, "ħ"),
            (28594, "ąĸ"),
            (28595, "Жд"),
            (28596, "سلام"),
            (28597, "αβ"),
            (28598, "שלום"),
            (28599, "ğş"),
            (28600, "đŋ"),
            (28601, "ไทย"),
            (28603, "ąž"),
            (28604, "ŵ"),
            (28605, "€œ"),
            (50220, "日本語"),
            (65000, "é漢"),
            (65001, "é漢"),
        ];
        assert_eq!(samples.len(), LABELS.len() + 4);
        for (page, text) in samples {
            let charset = Charset::of_code_page(page).unwrap();
            let bytes = charset.encode(text).unwrap();
            let read = charset::decode(charset.label.as_bytes(), &bytes);
            assert_eq!(read, (text.to_owned(), None), "{page}");
        }
        assert_eq!(Charset::of_code_page(28602), None);
        assert_eq!(Charset::of_code_page(0), None);
    }

    #[test]
    fn what_a_page_lacks_is_not_replaced() {
        for (page, text) in [
            (28591, "€"),
            (28599, "€"),
            (1252, "漢"),
            (932, "한"),
            (932, "ﾑ"),
            (949, "漢字é"),
            (949, "똠"),
            (437, "€"),
            (850, "漢"),
            (20866, "é"),
            (950, "€한"),
        ] {
            let charset = Charset::of_code_page(page).unwrap();
            assert_eq!(charset.encode(text), None, "{page} {text}");
        }
    }
}
