//! Messages in the character sets of the Windows code pages.

mod support;

use cdonts::{CodePage, NewMail, RecipientType, Session};
use support::{Root, only};

const PAGES: &[(u32, &str, &str)] = &[
    (437, "ibm437", "é├"),
    (850, "ibm850", "éÐ"),
    (866, "ibm866", "Жд"),
    (874, "windows-874", "ไทย"),
    (932, "iso-2022-jp", "日本語"),
    (936, "gbk", "汉字"),
    (949, "euc-kr", "한글"),
    (950, "big5", "漢字"),
    (1250, "windows-1250", "łž"),
    (1251, "windows-1251", "Жд"),
    (1252, "windows-1252", "é€"),
    (1253, "windows-1253", "αβ"),
    (1254, "windows-1254", "ğş"),
    (1255, "windows-1255", "שלום"),
    (1256, "windows-1256", "سلام"),
    (1257, "windows-1257", "ąž"),
    (1258, "windows-1258", "đơ"),
    (20866, "koi8-r", "Жд"),
    (28591, "iso-8859-1", "éß"),
    (28592, "iso-8859-2", "łž"),
    (28593, "iso-8859-3", "ħ"),
    (28594, "iso-8859-4", "ąĸ"),
    (28595, "iso-8859-5", "Жд"),
    (28596, "iso-8859-6", "سلام"),
    (28597, "iso-8859-7", "αβ"),
    (28598, "iso-8859-8", "שלום"),
    (28599, "iso-8859-9", "ğş"),
    (28600, "iso-8859-10", "đŋ"),
    (28601, "iso-8859-11", "ไทย"),
    (28603, "iso-8859-13", "ąž"),
    (28604, "iso-8859-14", "ŵ"),
    (28605, "iso-8859-15", "€œ"),
    (50220, "iso-2022-jp", "日本語"),
    (65000, "utf-8", "é漢"),
    (65001, "utf-8", "é漢"),
];

/// Its octets mean something else behind each other: each word is whole in base64.
#[test]
fn a_page_with_states_is_never_written_as_quoted_printable() {
    let root = Root::new();
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .subject("mostly in plain letters, then 日")
        .set_locale_ids(CodePage::try_from(50220).unwrap())
        .send()
        .unwrap();
    let message = only(&server, "b@example.com");
    let headers = message.headers().unwrap();
    let raw = String::from_utf8(headers.get("Subject").unwrap().raw().to_vec()).unwrap();
    assert!(raw.contains("=?iso-2022-jp?B?"), "{raw}");
    assert!(!raw.contains("?Q?"), "{raw}");
}

#[test]
fn each_page_is_written_under_its_name_and_read_back() {
    for &(page, label, text) in PAGES {
        let root = Root::new();
        let server = root.delivering();
        let long = format!("{text} {} ", text.repeat(20)).repeat(5);
        NewMail::new(&server)
            .from(format!("\"{text}, A\" <a@example.com>"))
            .to("b@example.com")
            .subject(&long)
            .body(format!("{long}\nsecond line"))
            .set_locale_ids(CodePage::try_from(page).unwrap())
            .send()
            .unwrap();
        let message = only(&server, "b@example.com");
        assert_eq!(message.subject(), long.trim(), "{page}");
        assert_eq!(message.sender().name(), format!("{text}, A"), "{page}");
        assert_eq!(
            message.text().unwrap(),
            format!("{long}\r\nsecond line"),
            "{page}"
        );
        let file = root.only_file("Drop");
        let labelled = format!("Content-Type: text/plain; charset={label}\r\n");
        assert!(file.is_ascii() && file.contains(&labelled), "{page} {file}");
        assert!(file.contains(&format!("Subject: =?{label}?")), "{page}");
        assert!(file.lines().all(|line| line.len() <= 998));
        let words = file
            .split_whitespace()
            .filter(|word| word.starts_with("=?"));
        assert!(
            words
                .into_iter()
                .all(|word| word.trim_end_matches(',').len() <= 75)
        );
    }
}

#[test]
fn a_character_that_the_page_lacks_sends_the_whole_message_in_utf_8() {
    let root = Root::new();
    let server = root.delivering();
    let latin = CodePage::try_from(28591).unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .subject("café")
        .body("5 €")
        .set_locale_ids(latin)
        .send()
        .unwrap();
    let file = root.only_file("Drop");
    assert!(
        file.contains("charset=utf-8") && !file.contains("iso-8859"),
        "{file}"
    );
    assert_eq!(only(&server, "b@example.com").text().unwrap(), "5 €");
}

#[test]
fn a_plain_message_is_us_ascii_under_every_page() {
    let root = Root::new();
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("plain")
        .set_locale_ids(CodePage::try_from(932).unwrap())
        .send()
        .unwrap();
    assert!(root.only_file("Drop").contains("charset=us-ascii"));
}

#[test]
fn the_page_of_a_session_is_its_handles_own() {
    let root = Root::new();
    let server = root.delivering();
    let mut session = Session::logon_smtp(&server, "Иван", "ivan@example.com").unwrap();
    let before = session.clone();
    session.set_locale_ids(CodePage::try_from(1251).unwrap());
    assert_eq!(
        (session.code_page().id(), before.code_page()),
        (1251, CodePage::UTF_8)
    );
    let mut draft = session.outbox().messages().add("тема", "текст");
    // What is set later is for later drafts.
    session.set_locale_ids(CodePage::UTF_8);
    draft
        .recipients_mut()
        .add("", "b@example.com", RecipientType::To);
    draft.send().unwrap();
    assert!(root.only_file("Drop").contains("charset=windows-1251"));
    let error = CodePage::try_from(28602).unwrap_err();
    assert_eq!(error.cdo_code().name(), "CdoE_INVALID_PARAMETER");
}
