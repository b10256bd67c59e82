//! Summaries and reports as data for other programs.
#![cfg(feature = "serde")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{MailServer, MessageFile, NewMail, Outcome, RelayMessage, Reply, Session};
use serde_json::{Value, json, to_value};
use support::Root;

/// What stands there is a date.
fn is_date(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 20 && text.ends_with('Z') && text.contains('T')
}

#[test]
fn a_message_is_what_a_listing_knows_of_it() {
    let server = MailServer::temporary().unwrap();
    let sent = NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com; joe@example.net")
        .subject("Your order")
        .body("the body is nobody's")
        .send()
        .unwrap();
    let session = Session::logon_smtp(&server, "Jane", "jane@example.com").unwrap();
    let messages: Vec<_> = session.inbox().messages().unwrap().into_iter().collect();
    let mut data = to_value(&messages).unwrap();
    assert!(is_date(&data[0]["time_received"]), "{data}");
    data[0]["time_received"].take();
    let [message] = messages.as_slice() else {
        panic!("one message")
    };
    assert_eq!(
        data,
        json!([{
            "sender": {"name": "", "address": "shop@example.com"},
            "subject": "Your order",
            "time_received": null,
            "size": message.size(),
            "reverse_path": "shop@example.com",
            "delivered_to": "jane@example.com",
            "file_name": message.file_name().to_str(),
        }])
    );
    assert_eq!(
        to_value(&sent).unwrap(),
        json!({
            "message_id": sent.message_id(),
            "delivered": ["jane@example.com"],
            "files": sent.files(),
            "accepted": [],
            "queued": [],
            "pending": [],
        })
    );
    assert_eq!(
        to_value(server.counts()).unwrap(),
        json!({"accepted": 1, "delivered": 1, "relayed": 0, "deferred": 0, "bounced": 0, "bad": 0})
    );
}

#[test]
fn a_summary_is_what_a_store_tells() {
    let head = b"From: Jane <jane@example.com>\r\nSubject: Hello\r\n\r\nHow";
    let summary = cdonts::Summary::of_message(head, 1000);
    assert_eq!((summary.subject(), summary.size()), ("Hello", 1000));
    assert_eq!(
        to_value(summary).unwrap(),
        json!({
            "sender": {"name": "Jane", "address": "jane@example.com"},
            "subject": "Hello",
            "time_received": null,
            "size": 1000,
        })
    );
}

#[test]
fn a_report_says_which_it_is() {
    let report = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
        --b\nContent-Type: text/plain\n\nno\n--b\nContent-Type: message/delivery-status\n\n\
        Reporting-MTA: dns; mx.example.net\n\n\
        Final-Recipient: rfc822; joe@example.net\nAction: failed\nStatus: 5.1.1\n\
        Diagnostic-Code: smtp; 550 no such user\n--b--\n";
    let report = MessageFile::from_bytes(report).unwrap().report().unwrap();
    assert_eq!(
        to_value(report).unwrap(),
        json!({"delivery": {
            "original_message_id": null,
            "reporting_mta": "mx.example.net",
            "recipients": [{
                "address": "joe@example.net",
                "original_address": null,
                "action": "failed",
                "status": "5.1.1",
                "diagnostic": "550 no such user",
                "will_retry_until": null,
                "is_permanent": true,
            }],
        }})
    );
    let reply = "Auto-Submitted: auto-replied\nIn-Reply-To: <1@example.com>\n\naway\n";
    let reply = MessageFile::from_bytes(reply).unwrap().report().unwrap();
    assert_eq!(
        to_value(reply).unwrap(),
        json!({"auto_reply": {"original_message_id": "<1@example.com>"}})
    );
}

#[test]
fn problems_findings_and_steps_of_the_way_are_data() {
    let root = Root::new();
    // Nobody's, since no run stands on top of it.
    root.write("Drop/1.eml", "Subject: x\r\n\r\n");
    let server = root.builder().local_domain("example.com").open().unwrap();
    let delivered = to_value(server.deliver_now().unwrap()).unwrap();
    assert_eq!(delivered["messages"], 0, "{delivered}");
    let findings = to_value(server.check().unwrap()).unwrap();
    let findings = findings.as_array().unwrap();
    assert!(
        findings.iter().any(|one| one["kind"] == "profile"),
        "{findings:?}"
    );
    for finding in findings {
        for field in ["kind", "path", "text", "advice"] {
            assert!(finding[field].is_string(), "{finding}");
        }
    }
    let message = "Received: from a.example by b.example with ESMTP id 7;\n Tue, 24 Nov 2026 10:00:00 +0000\n\
        Content-Type: text/plain; charset=klingon\nImportance: high\n\nx";
    let message = MessageFile::from_bytes(message).unwrap();
    assert_eq!(
        to_value(message.headers().unwrap().received()).unwrap(),
        json!([{
            "from": "a.example", "by": "b.example", "via": null, "with": "ESMTP", "id": "7",
            "recipient": null, "time": "2026-11-24T10:00:00Z",
        }])
    );
    assert_eq!(to_value(message.importance().unwrap()).unwrap(), "high");
    let problems = to_value(message.problems().unwrap()).unwrap();
    let problems = problems.as_array().unwrap();
    let is_it = |problem: &&Value| problem["text"].as_str().unwrap().contains("klingon");
    let problem = problems.iter().find(is_it).unwrap();
    assert_eq!(problem["path"], Value::Null);
}

#[test]
fn the_queue_tells_who_waits_and_why() {
    let busy = |message: &RelayMessage<'_>| {
        vec![Outcome::Deferred(Reply::new(450, "4.3.2", "busy")); message.recipients().len()]
    };
    let server = MailServer::builder().relay(busy).open_temporary().unwrap();
    let new = NewMail::new(&server).from("a@example.com");
    new.to("joe@example.net").send().unwrap();
    server.deliver_now().unwrap();
    let mut queue = to_value(server.queue().unwrap()).unwrap();
    let queue = queue[0].as_object_mut().unwrap();
    for time in ["time_queued", "next_attempt"] {
        assert!(is_date(&queue.remove(time).unwrap()), "{queue:?}");
    }
    queue.remove("id").unwrap();
    assert_eq!(
        Value::Object(queue.clone()),
        json!({
            "reverse_path": "a@example.com",
            "recipients": [{"address": "joe@example.net", "last_reply": "450 4.3.2 busy"}],
            "attempts": 1,
        })
    );
}
