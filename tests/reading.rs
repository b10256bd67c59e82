//! Real mail is rarely right. What it meant is read, and what was wrong is told.

use cdonts::{AttachmentType, ErrorKind, Header, Limits, MessageFile, time};

fn open(source: impl Into<Vec<u8>>) -> MessageFile {
    MessageFile::from_bytes(source).unwrap()
}

fn problems(message: &MessageFile) -> Vec<String> {
    let problems = message.problems().unwrap();
    problems
        .iter()
        .map(|problem| problem.text().to_owned())
        .collect()
}

const GOOD: &str = "From: s@x.example\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n";

#[test]
fn a_good_message_has_no_problems() {
    let source = GOOD.to_owned()
        + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: image/png\n\
           Content-Transfer-Encoding: base64\n\naGk=\n--b--\n";
    assert_eq!(problems(&open(source)), [""; 0]);
}

/// A message, the text that is read, the problem that is told.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "From s@x.example Tue Nov 24 10:00:00 2026\n{GOOD}\ntext",
        "text",
        "a `From ` line of a mailbox file stands above the header",
    ),
    (
        "\n\r\n{GOOD}\ntext",
        "text",
        "empty lines stand above the header",
    ),
    (
        "Subject: x\nthis is no field\n nor this\n{GOOD}\ntext",
        "text",
        "a line of a header is no field and is passed over: `this is no field`",
    ),
    (
        "{GOOD}this is the text\nand more of it",
        "this is the text\nand more of it",
        "no empty line stands between the header and the text",
    ),
    (
        "{GOOD}One paragraph.\n\nAnother.",
        "One paragraph.\n\nAnother.",
        "no empty line stands between the header and the text",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\n--b\nThe only paragraph\n--b--",
        "The only paragraph\n",
        "no empty line stands between the header and the text",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed\n\ntext\n--a--",
        "text",
        "a multipart has no boundary: its parts cannot be told apart",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/x; boundary=b\n\ntext\n--a--",
        "text",
        "a multipart holds no part: its text is shown as it stands",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/plain\n\n\n--a\nContent-Type: text/html; charset=klingon\n\ntext\n--a--",
        "text",
        "the character set `klingon` is not known",
    ),
    (
        "{GOOD}From: x@y\n\ntext",
        "text",
        "the field `From` stands there more than once; the first counts",
    ),
    (
        "Subject: a\nSubject: b\n{GOOD}\ntext",
        "text",
        "the field `Subject` stands there more than once; the first counts",
    ),
    (
        "Message-ID: <a@b>\nMessage-ID: <a@b>\n{GOOD}\ntext",
        "text",
        "the field `Message-ID` stands there more than once; the first counts",
    ),
    (
        "Reply-To: a@b\nReply-To: a@b\n{GOOD}\ntext",
        "text",
        "the field `Reply-To` stands there more than once; the first counts",
    ),
    (
        "Date: 24 Nov 2026\n\ntext",
        "text",
        "the field `From` is missing",
    ),
    ("From: s@x\n\ntext", "text", "the field `Date` is missing"),
    (
        "{GOOD}Date: x\n\ntext",
        "text",
        "the field `Date` stands there more than once; the first counts",
    ),
    (
        "From: s@x\nDate: tomorrow\n\ntext",
        "text",
        "the field `Date` holds no date",
    ),
    (
        "From: nobody at all\nDate: 24 Nov 2026\n\ntext",
        "text",
        "the field `From` holds no address",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext",
        "text",
        "a multipart is not closed: the message may have been cut off",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--a--",
        "text",
        "a multipart is not closed: the message may have been cut off",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\ntext\n--c--\n",
        "text\n--c--\n",
        "a multipart holds no part: its text is shown as it stands",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed\n\ntext",
        "text",
        "a multipart has no boundary: its parts cannot be told apart",
    ),
    (
        "{GOOD}Content-Transfer-Encoding: base64\n\ndGV\n!4dA",
        "text",
        "a text part is encoded wrongly; what could be read is shown",
    ),
    (
        "{GOOD}Content-Transfer-Encoding: quoted-printable\n\nte=78t =XY",
        "text =XY",
        "a text part is encoded wrongly; what could be read is shown",
    ),
    (
        "{GOOD}Content-Transfer-Encoding: x-own\n\ntext",
        "text",
        "the transfer encoding `x-own` is not known; the part is shown as it is",
    ),
    (
        "{GOOD}Content-Type: text/plain; charset=klingon\n\ntext",
        "text",
        "the character set `klingon` is not known",
    ),
    (
        "{GOOD}Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=us-ascii\n\n/3RleHQ=",
        "\u{fffd}text",
        "a text that claims to be ASCII holds other bytes, shown as \u{fffd}",
    ),
    (
        "{GOOD}Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\n/3RleHQ=",
        "\u{fffd}text",
        "a text holds bytes that are no UTF-8, shown as \u{fffd}",
    ),
    (
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: image/png; name=x.png\n\
             Content-Transfer-Encoding: base64\n\n!!\n--b--",
        "text",
        "the attachment `x.png` is encoded wrongly; what could be read is given",
    ),
];

#[test]
fn what_is_wrong_is_read_nevertheless_and_told() {
    for (source, text, problem) in WRONG {
        let message = open(source.replace("{GOOD}", GOOD));
        assert_eq!(message.text().unwrap(), *text, "{source}");
        let told = problems(&message);
        assert!(told.iter().any(|one| one == problem), "{source}: {told:?}");
    }
}

#[test]
fn header_text_without_a_character_set_is_utf_8_or_else_windows_1252() {
    let message = open([GOOD.as_bytes(), b"Subject: Gr\xfc\xdfe\n\n"].concat());
    assert_eq!(message.subject(), "Grüße");
    assert_eq!(
        problems(&message),
        [
            "the field `Subject` holds unencoded characters that are no UTF-8; they are read as windows-1252"
        ]
    );
    let message = open(format!("{GOOD}Subject: Grüße\n\n"));
    assert_eq!((message.subject(), problems(&message).len()), ("Grüße", 0));
}

#[test]
fn dates_of_old_programs_are_read() {
    for date in [
        "24 Nov 26 10:00 GMT",
        "Tue, 24 Nov 26 05:00:00 EST",
        "Tue Nov 24 10:00:00 2026",
        "Tue, 24 Nov 2026 2:00 AM PST",
        "Tue, 24 Nov 2026 11:00:00 CET",
    ] {
        let message = open(format!("From: s@x\nDate: {date}\n\n"));
        let read = message.time_sent().unwrap().map(time::rfc3339);
        assert_eq!(read.as_deref(), Some("2026-11-24T10:00:00Z"), "{date}");
        assert_eq!(problems(&message), [""; 0]);
    }
}

#[test]
fn every_field_is_there_in_order_decoded_and_raw() {
    let source = "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\nX-A: =?utf-8?Q?=C3=A4?=\r\n\
        \x20b\r\nreceived: by c\r\nBcc: secret@x\r\nX-a: 2\r\nMessage-ID: <3@x>\r\n\
        References: <1@x>\r\n <2@x>\r\nIn-Reply-To: <2@x>\r\n\r\n";
    let headers = open(source).headers().unwrap();
    let names: Vec<_> = headers.iter().map(Header::name).collect();
    let expected = [
        "Received",
        "X-A",
        "received",
        "X-a",
        "Message-ID",
        "References",
        "In-Reply-To",
    ];
    assert_eq!(names, expected);
    let field = headers.get("x-a").unwrap();
    assert_eq!(field.value(), "ä b");
    assert_eq!(field.raw(), b" =?utf-8?Q?=C3=A4?=\r\n b");
    assert_eq!(headers.get_all("X-A").count(), 2);
    let received = headers.received();
    assert_eq!(
        (received[0].from(), received[1].by()),
        (Some("a"), Some("c"))
    );
    assert_eq!(headers.message_id().as_deref(), Some("<3@x>"));
    assert_eq!(headers.references(), ["<1@x>", "<2@x>"]);
    let only_reply = open("In-Reply-To: <2@x>\n\n").headers().unwrap();
    assert_eq!(only_reply.references(), ["<2@x>"]);
}

#[test]
fn text_that_flows_is_joined_to_read_and_kept_as_it_was_sent() {
    let source = format!(
        "{GOOD}Content-Type: text/plain; charset=utf-8; format=flowed\n\n> one \n> two\nthree \nfour\n"
    );
    let message = open(source);
    assert_eq!(message.text().unwrap(), "> one two\nthree four\n");
    let sent = message.text_part().unwrap().unwrap();
    assert_eq!(sent, "> one \n> two\nthree \nfour\n");
}

#[test]
fn files_in_uuencode_are_attachments_wherever_they_stand() {
    let in_text = open(format!(
        "{GOOD}\nbefore\nbegin 644 cat.txt\n#0V%T\n`\nend\nafter\n"
    ));
    assert_eq!(in_text.text().unwrap(), "before\nafter\n");
    let as_part = open(format!(
        "{GOOD}Content-Type: application/x; name=cat.txt\nContent-Transfer-Encoding: x-uuencode\n\n\
         begin 644 other\n#0V%T\n`\nend\n"
    ));
    for message in [in_text, as_part] {
        let attachments = message.attachments().unwrap();
        let file = attachments.get(0).unwrap();
        assert_eq!(
            (file.name(), file.read().unwrap().as_slice()),
            ("cat.txt", &b"Cat"[..])
        );
        assert_eq!(file.attachment_type(), AttachmentType::FileData);
        assert_eq!(problems(&message), [""; 0]);
    }
}

#[test]
fn a_multipart_that_is_a_file_is_one() {
    let source = format!(
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/x-zip; name=a.zip\n\
         Content-Transfer-Encoding: base64\n\naGk=\n--b--\nepilogue"
    );
    let message = open(source);
    let attachments = message.attachments().unwrap();
    let file = attachments.get(0).unwrap();
    assert_eq!(
        (file.name(), file.read().unwrap().as_slice()),
        ("a.zip", &b"hi"[..])
    );
    let whole = message.parts().unwrap()[0].read_raw().unwrap();
    assert!(whole.ends_with(b"--b--\nepilogue"));
}

#[test]
fn no_control_character_comes_out_of_a_header() {
    let message = open(
        "Content-Type: a/b\x1b; charset=\x1b; name*=utf-8''a%0d%0aB%1b.png\n\
         Content-Transfer-Encoding: x\x1b[31m\n\n",
    );
    let attachments = message.attachments().unwrap();
    let file = attachments.get(0).unwrap();
    assert_eq!(file.name(), "a  B .png");
    assert!(!file.content_type().contains('\x1b'));
    assert!(
        problems(&message)
            .iter()
            .all(|text| !text.contains(char::is_control))
    );
}

#[test]
fn a_long_text_costs_its_reader_no_attachment() {
    let mut limits = Limits::default();
    limits.decoded_text = 10;
    let read =
        |source: &str, limits: &Limits| MessageFile::from_bytes_with(source, limits).unwrap();
    let source = format!(
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nlonger than ten octets\n--b\n\
         Content-Type: image/png\n\nx\n--b--"
    );
    let message = read(&source, &limits);
    assert_eq!(message.attachments().unwrap().len(), 1);
    let told = problems(&message);
    assert!(
        told.iter().any(|text| text.contains("`decoded_text`")),
        "{told:?}"
    );
    assert!(message.text().is_err());
    // In a multipart in which no part begins, too.
    let message = read(
        "Content-Type: multipart/x; boundary=b\n\nlonger than ten octets",
        &limits,
    );
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::TooLarge);
    // Files in the text count together.
    let files = "A: b\n\n".to_owned() + &"begin 644 x\n#0V%T\n`\nend\n".repeat(4);
    limits.decoded_text = 100;
    assert_eq!(read(&files, &limits).attachments().unwrap().len(), 4);
    let lost = "A: b\n\n".to_owned() + &"begin 644 x\nM\n`\nend\n".repeat(4);
    assert_eq!(read(&lost, &limits).attachments().unwrap().len(), 2);
    // An embedded message must be decoded whole.
    limits.decoded_text = 11;
    let encoded =
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQ==";
    let attachments = read(encoded, &limits).attachments().unwrap();
    let error = attachments.get(0).unwrap().source().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn the_bytes_of_a_part_are_given_as_they_were_sent() {
    let source = format!(
        "{GOOD}Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nX-Own: 1\n\ntext\n--b\n\
         Content-Type: image/png; name=x.png\nContent-Transfer-Encoding: base64\n\na G k =\n--b--\n"
    );
    let message = open(source);
    let parts = message.parts().unwrap();
    let shown: Vec<_> = parts
        .iter()
        .map(|part| (part.content_type(), part.is_multipart(), part.parent()))
        .collect();
    assert_eq!(
        shown,
        [
            ("multipart/mixed", true, None),
            ("text/plain", false, Some(0)),
            ("image/png", false, Some(0))
        ]
    );
    assert_eq!(
        parts[1].headers().unwrap().get("x-own").unwrap().value(),
        "1"
    );
    let attachments = message.attachments().unwrap();
    let part = attachments.get(0).unwrap().part();
    assert_eq!(part.read_raw().unwrap(), b"a G k =");
    assert_eq!(
        (part.read().unwrap(), part.size().unwrap()),
        (b"hi".to_vec(), 2)
    );
    let mut raw = String::new();
    std::io::Read::read_to_string(&mut part.raw_reader().unwrap(), &mut raw).unwrap();
    assert_eq!((raw.as_str(), part.file_name()), ("a G k =", Some("x.png")));
    assert!(parts[0].read_raw().unwrap().starts_with(b"preamble\n--b"));
}
