//! Reports on messages that were sent: bounces, delays, receipts, automatic answers.

mod support;

use cdonts::{Action, MessageFile, Report};
use support::{Root, iis_file, only};

const BOUNCE: &str = "From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\nTo: shop@example.com\n\
    Auto-Submitted: auto-replied\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b/x\"\n\n\
    --b/x\nContent-Type: text/plain\n\nIt could not be delivered.\n\n\
    --b/x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\nX-Postfix-Queue-ID: 1\n\n\
    Final-Recipient: rfc822; jane@example.net\nOriginal-Recipient: rfc822;j@example.org\nAction: failed\n\
    Status: 5.1.1 (user unknown)\nRemote-MTA: dns; a.b\nDiagnostic-Code: smtp; 550 5.1.1 <jane@example.net>:\n  User unknown\n\n\
    Final-Recipient: RFC822; <joe@example.net>\nAction: delayed\nStatus: 4.4.1\nWill-Retry-Until: Thu, 26 Nov 2026 10:00:00 +0000\n\n\
    --b/x\nContent-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: <1@example.com>\n\n--b/x--\n";

#[test]
fn a_bounce_tells_what_became_of_each_recipient() {
    let root = Root::new();
    root.write("Drop/a.eml", iis_file(&["shop@example.com"], BOUNCE));
    let message = only(&root.server(), "shop@example.com");
    let Some(Report::Delivery(report)) = message.report().unwrap() else {
        panic!("it is a delivery report")
    };
    assert_eq!(report.original_message_id(), Some("<1@example.com>"));
    assert_eq!(report.reporting_mta(), Some("mx.example.net"));
    let [jane, joe] = report.recipients() else {
        panic!("there are two")
    };
    assert_eq!(
        (jane.address(), jane.original_address()),
        ("jane@example.net", Some("j@example.org"))
    );
    assert_eq!(
        (jane.action(), jane.status(), jane.is_permanent()),
        (Action::Failed, Some("5.1.1"), true)
    );
    assert_eq!(
        jane.diagnostic(),
        Some("550 5.1.1 <jane@example.net>:  User unknown")
    );
    assert_eq!(
        (joe.address(), joe.action(), joe.is_permanent()),
        ("joe@example.net", Action::Delayed, false)
    );
    assert!(joe.will_retry_until().is_some());
}

#[test]
fn a_whole_returned_message_tells_its_id_too() {
    let whole = BOUNCE.replace("text/rfc822-headers", "message/rfc822");
    let message = MessageFile::from_bytes(whole).unwrap();
    let Some(Report::Delivery(report)) = message.report().unwrap() else {
        panic!("it is a delivery report")
    };
    assert_eq!(report.original_message_id(), Some("<1@example.com>"));
}

#[test]
fn a_read_receipt_and_an_automatic_answer_are_recognised() {
    let receipt = "From: j@example.net\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n\
        --b\n\nread\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; j@example.net\n\
        Original-Message-ID: <2@example.com>\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--b--\n";
    let Some(Report::Read(report)) = MessageFile::from_bytes(receipt).unwrap().report().unwrap()
    else {
        panic!("it is a read receipt")
    };
    assert_eq!(
        (report.recipient(), report.original_message_id()),
        (Some("j@example.net"), Some("<2@example.com>"))
    );
    assert_eq!(
        report.disposition(),
        "manual-action/MDN-sent-manually; displayed"
    );
    let answer = "From: j@example.net\nAuto-Submitted: auto-replied (vacation)\nIn-Reply-To: <3@example.com>\n\naway\n";
    let Some(Report::AutoReply(report)) =
        MessageFile::from_bytes(answer).unwrap().report().unwrap()
    else {
        panic!("it is an automatic answer")
    };
    assert_eq!(report.original_message_id(), Some("<3@example.com>"));
    for plain in [
        "From: a@b.c\n\nx",
        "Auto-Submitted: no\n\nx",
        "Subject: Returned mail\n\nuser unknown",
    ] {
        assert_eq!(
            MessageFile::from_bytes(plain).unwrap().report().unwrap(),
            None
        );
    }
}

#[test]
fn a_broken_report_is_read_as_far_as_it_goes() {
    let broken = "Content-Type: message/delivery-status\n\n\n\nAction: failed\n\nFinal-Recipient: ;\nStatus: x\n\n\nFinal-Recipient\n";
    let Some(Report::Delivery(report)) = MessageFile::from_bytes(broken).unwrap().report().unwrap()
    else {
        panic!("it is a delivery report")
    };
    let [one] = report.recipients() else {
        panic!("there is one")
    };
    assert_eq!(
        (one.address(), one.action(), one.status()),
        ("", Action::Other, None)
    );
    assert_eq!(report.original_message_id(), None);
}
