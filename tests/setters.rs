//! Every public setter that takes text, each with text that would break out of where it is put. The
//! list of setters is read from the sources: a new one fails here until it has its row.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::collections::BTreeSet;
use std::io::Cursor;

use cdonts::{Draft, Importance, MailServer, NewMail, RecipientType, Session};
use support::{Root, package};

/// What becomes of a draft with the text in it: `None` when the mail was sent another way.
type Setter = fn(&MailServer, &str) -> Draft;

fn draft(server: &MailServer) -> Draft {
    mail(server).into_draft()
}

fn mail(server: &MailServer) -> NewMail {
    NewMail::new(server)
        .from("a@example.com")
        .to("b@example.net")
        .body("text")
}

fn with(server: &MailServer, set: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = draft(server);
    set(&mut draft);
    draft
}

fn attached(server: &MailServer, set: impl FnOnce(&mut cdonts::DraftAttachment)) -> Draft {
    with(server, |draft| {
        set(draft.attachments_mut().add_bytes("a.txt", "a"));
    })
}

fn recipient(server: &MailServer, set: impl FnOnce(&mut cdonts::Recipient)) -> Draft {
    with(server, |draft| {
        set(draft.recipients_mut().get_mut(0).unwrap());
    })
}

/// File and function, and where the text goes. Body text is no header: it is sent, encoded.
const SETTERS: &[(&str, &str, Setter)] = &[
    ("draft", "set_sender", |s, t| {
        with(s, |d| {
            d.set_sender(t, "a@example.com");
        })
    }),
    ("draft", "set_sender", |s, t| {
        with(s, |d| {
            d.set_sender("", t);
        })
    }),
    ("draft", "add_reply_to", |s, t| {
        with(s, |d| {
            d.add_reply_to(t, "a@example.com");
        })
    }),
    ("draft", "add_reply_to", |s, t| {
        with(s, |d| {
            d.add_reply_to("", t);
        })
    }),
    ("draft", "set_subject", |s, t| {
        with(s, |d| {
            d.set_subject(t);
        })
    }),
    ("draft", "set_text", |s, t| {
        with(s, |d| {
            d.set_text(t);
        })
    }),
    ("draft", "set_html_text", |s, t| {
        with(s, |d| {
            d.set_html_text(t);
        })
    }),
    ("draft", "set_content_base", |s, t| {
        with(s, |d| {
            d.set_content_base(t);
        })
    }),
    ("draft", "set_content_location", |s, t| {
        with(s, |d| {
            d.set_content_location(t);
        })
    }),
    ("draft", "add_header", |s, t| {
        with(s, |d| {
            d.add_header(t, "v");
        })
    }),
    ("draft", "add_header", |s, t| {
        with(s, |d| {
            d.add_header("X-A", t);
        })
    }),
    ("draft/conventions", "set_list_unsubscribe", |s, t| {
        with(s, |d| {
            d.set_list_unsubscribe(format!("https://x/{t}"));
        })
    }),
    (
        "draft/conventions",
        "set_list_unsubscribe_one_click",
        |s, t| {
            with(s, |d| {
                d.set_list_unsubscribe_one_click(format!("https://x/{t}"));
            })
        },
    ),
    ("draft/conventions", "set_sender_field", |s, t| {
        with(s, |d| {
            d.set_sender_field(t, "a@example.com");
        })
    }),
    ("draft/conventions", "set_sender_field", |s, t| {
        with(s, |d| {
            d.set_sender_field("", t);
        })
    }),
    ("new_mail", "from", |s, t| mail(s).from(t).into_draft()),
    ("new_mail", "to", |s, t| mail(s).to(t).into_draft()),
    ("new_mail", "cc", |s, t| mail(s).cc(t).into_draft()),
    ("new_mail", "bcc", |s, t| mail(s).bcc(t).into_draft()),
    ("new_mail", "recipient", |s, t| {
        mail(s)
            .recipient(t, "b@example.com", RecipientType::Cc)
            .into_draft()
    }),
    ("new_mail", "recipient", |s, t| {
        mail(s).recipient("", t, RecipientType::Bcc).into_draft()
    }),
    ("new_mail", "sender", |s, t| {
        mail(s).sender(t, "b@example.com").into_draft()
    }),
    ("new_mail", "sender", |s, t| {
        mail(s).sender("", t).into_draft()
    }),
    ("new_mail", "reply_to", |s, t| {
        mail(s).reply_to(t, "b@example.com").into_draft()
    }),
    ("new_mail", "reply_to", |s, t| {
        mail(s).reply_to("", t).into_draft()
    }),
    ("new_mail", "subject", |s, t| {
        mail(s).subject(t).into_draft()
    }),
    ("new_mail", "body", |s, t| mail(s).body(t).into_draft()),
    ("new_mail", "value", |s, t| {
        mail(s).value(t, "v").into_draft()
    }),
    ("new_mail", "value", |s, t| {
        mail(s).value("X-A", t).into_draft()
    }),
    ("new_mail", "value", |s, t| {
        mail(s).value("To", t).into_draft()
    }),
    ("new_mail", "attach_file_as", |s, t| {
        mail(s)
            .attach_file_as(package().join("Cargo.toml"), t)
            .into_draft()
    }),
    ("new_mail", "attach_url", |s, t| {
        mail(s)
            .attach_url(package().join("Cargo.toml"), t)
            .into_draft()
    }),
    ("new_mail", "content_base", |s, t| {
        mail(s).content_base(t).into_draft()
    }),
    ("new_mail", "content_location", |s, t| {
        mail(s).content_location(t).into_draft()
    }),
    ("new_mail", "attach_bytes", |s, t| {
        mail(s).attach_bytes(t, "a").into_draft()
    }),
    ("new_mail", "attach_reader", |s, t| {
        mail(s).attach_reader(t, Cursor::new("a")).into_draft()
    }),
    ("new_mail", "send_with", |s, t| {
        let sent = mail(s).send_with("a@example.com", "b@example.net", t, "", Importance::Normal);
        sent.unwrap_err().into_draft()
    }),
    ("draft_attachments", "add_bytes", |s, t| {
        with(s, |d| {
            d.attachments_mut().add_bytes(t, "a");
        })
    }),
    ("draft_attachments", "add_reader", |s, t| {
        with(s, |d| {
            d.attachments_mut().add_reader(t, Cursor::new("a"));
        })
    }),
    ("draft_attachments/attachment", "set_name", |s, t| {
        attached(s, |a| {
            a.set_name(t);
        })
    }),
    (
        "draft_attachments/attachment",
        "set_content_type",
        |s, t| {
            attached(s, |a| {
                a.set_content_type(t);
            })
        },
    ),
    ("draft_attachments/attachment", "set_content_id", |s, t| {
        attached(s, |a| {
            a.set_content_id(t);
        })
    }),
    (
        "draft_attachments/attachment",
        "set_content_location",
        |s, t| {
            attached(s, |a| {
                a.set_content_location(t);
            })
        },
    ),
    (
        "draft_attachments/attachment",
        "set_content_base",
        |s, t| {
            attached(s, |a| {
                a.set_content_base(t);
            })
        },
    ),
    ("recipients", "set_name", |s, t| {
        recipient(s, |r| {
            r.set_name(t);
        })
    }),
    ("recipients", "set_address", |s, t| {
        recipient(s, |r| {
            r.set_address(t);
        })
    }),
    ("recipients", "add", |s, t| {
        with(s, |d| {
            d.recipients_mut()
                .add(t, "b@example.com", RecipientType::To);
        })
    }),
    ("recipients", "add", |s, t| {
        with(s, |d| {
            d.recipients_mut().add("", t, RecipientType::To);
        })
    }),
    ("folder", "add", |s, t| {
        let session = Session::logon_smtp(s, "", "a@example.com").unwrap();
        let mut draft = session.outbox().messages().add(t, "");
        draft
            .recipients_mut()
            .add("", "b@example.net", RecipientType::To);
        draft
    }),
];

const BODIES: &[(&str, &str)] = &[
    ("draft", "set_text"),
    ("draft", "set_html_text"),
    ("new_mail", "body"),
];

#[test]
fn every_setter_that_takes_text_is_in_the_table() {
    let mut found = BTreeSet::new();
    for file in [
        "draft",
        "draft/conventions",
        "draft_attachments",
        "draft_attachments/attachment",
        "folder",
        "new_mail",
        "recipients",
    ] {
        let source = std::fs::read_to_string(package().join(format!("src/{file}.rs"))).unwrap();
        for function in source.split("pub fn ").skip(1) {
            let signature = function.split('{').next().unwrap();
            let name = signature.split(['(', '<']).next().unwrap();
            if signature.contains("Into<String>") {
                found.insert((file.to_owned(), name.to_owned()));
            }
        }
    }
    assert!(found.len() > 30, "{found:?}");
    let known: BTreeSet<_> = SETTERS
        .iter()
        .map(|(file, name, _)| ((*file).to_owned(), (*name).to_owned()))
        .collect();
    assert_eq!(found, known);
}

#[test]
fn no_setter_lets_text_out_of_its_place() {
    let root = Root::new();
    let server = root.server();
    let evil = [
        "x\r\nX-Evil: 1",
        "x\nX-Evil: 1",
        "x\rX-Evil: 1",
        "\r\n\r\nX-Evil: 1",
        "x\0",
        "x\u{7f}",
        "x\u{1b}[2J",
        "x\u{85}X-Evil: 1",
        "x\u{2028}X-Evil: 1",
    ];
    for (file, name, set) in SETTERS {
        for text in evil {
            let draft = set(&server, text);
            let sent = draft.send();
            if BODIES.contains(&(file, name)) {
                sent.unwrap();
                let message = root.only_file("Pickup");
                let header = message.split("\r\n\r\n").next().unwrap();
                assert!(!header.contains("X-Evil"), "{file} {name} {text:?}");
                // Nothing but CR LF ends a line, and nothing else of the kind goes out.
                let rest = message.replace("\r\n", "");
                assert!(
                    !rest.contains(['\r', '\n', '\0']),
                    "{file} {name} {text:?} {message:?}"
                );
                std::fs::remove_file(root.join("Pickup").join(&root.files("Pickup")[0])).unwrap();
            } else {
                let error = sent.unwrap_err();
                assert!(error.field().is_some(), "{file} {name} {text:?}");
                assert_eq!(root.files("Pickup"), [""; 0], "{file} {name} {text:?}");
            }
        }
    }
}
