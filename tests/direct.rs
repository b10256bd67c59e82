//! An Outbox that hands messages over while `send` waits.

mod support;

use std::sync::{Arc, Mutex};

use cdonts::{
    Credentials, ErrorKind, MailServer, NewMail, Outcome, RecipientType, RelayMessage, Reply,
    Session, Transport,
};

/// What was handed over: from whom, to whom, what, and as whom.
#[derive(Clone, Default)]
struct Way {
    handed: Arc<Mutex<Vec<Handed>>>,
    needs_credentials: bool,
}

#[derive(Clone, Debug)]
struct Handed {
    reverse_path: String,
    recipients: Vec<String>,
    text: String,
    user: Option<String>,
}

impl Transport for Way {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut octets = Vec::new();
        message.write_to(&mut octets).unwrap();
        assert_eq!(octets.len() as u64, message.size());
        self.handed.lock().unwrap().push(Handed {
            reverse_path: message.reverse_path().to_owned(),
            recipients: message.recipients().to_vec(),
            text: String::from_utf8(octets).unwrap(),
            user: message.credentials().map(|who| who.user().to_owned()),
        });
        let answer = |address: &String| {
            let reply = |code, enhanced| Reply::new(code, enhanced, "so it is");
            match address.split('@').next().unwrap_or_default() {
                "never" => Outcome::Refused(reply(550, "5.1.1")),
                "later" => Outcome::Deferred(reply(450, "4.2.0")),
                "maybe" => Outcome::Unknown(reply(0, "4.4.2")),
                "unreached" => Outcome::Deferred(reply(0, "4.4.1")),
                "unproven" => Outcome::Deferred(reply(535, "5.7.8")),
                "untrusted" => Outcome::Deferred(reply(0, "4.7.5")),
                _ => Outcome::Accepted(reply(250, "2.0.0")),
            }
        };
        message.recipients().iter().map(answer).collect()
    }

    fn needs_credentials(&self) -> bool {
        self.needs_credentials
    }
}

impl Way {
    fn handed(&self) -> Vec<Handed> {
        self.handed.lock().unwrap().clone()
    }
}

fn mail(server: &MailServer, to: &str) -> NewMail {
    NewMail::new(server)
        .from("shop@example.com")
        .to(to)
        .subject("Order")
        .body("On its way.")
}

#[test]
fn a_message_is_handed_over_before_send_returns() {
    let way = Way::default();
    let server = MailServer::builder().outbox(way.clone()).open().unwrap();
    let sent = mail(&server, "jane@example.org; joe@example.net")
        .bcc("audit@example.com")
        .attach_bytes("large.bin", vec![7; 1_000_000])
        .send()
        .unwrap();
    assert_eq!(sent.accepted().len(), 3);
    assert!(sent.files().is_empty() && sent.queued().is_empty() && sent.delivered().is_empty());
    let handed = way.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].reverse_path, "shop@example.com");
    assert_eq!(
        handed[0].recipients,
        ["jane@example.org", "joe@example.net", "audit@example.com"]
    );
    assert!(handed[0].text.contains(sent.message_id()));
    assert!(!handed[0].text.contains("audit") && !handed[0].text.contains("X-Receiver"));
}

#[test]
fn what_is_refused_is_an_error_and_the_draft_comes_back() {
    let way = Way::default();
    let server = MailServer::builder().outbox(way.clone()).open().unwrap();
    for (to, kind, is_transient) in [
        ("never@example.org", ErrorKind::Refused, false),
        ("later@example.org", ErrorKind::Network, true),
        ("maybe@example.org", ErrorKind::OutcomeUnknown, true),
    ] {
        let error = mail(&server, to).send().unwrap_err();
        assert_eq!(
            (error.kind(), error.error().is_transient()),
            (kind, is_transient)
        );
        assert!(error.to_string().contains("so it is"), "{error}");
        let draft = error.into_draft();
        assert_eq!(draft.recipients().get(0).unwrap().address(), to);
        // The same message, if it is tried again.
        assert!(draft.send().is_err());
        let handed = way.handed();
        let id = |one: &Handed| {
            let line = one.text.lines().find(|line| line.starts_with("Message-ID"));
            line.unwrap().to_owned()
        };
        let [.., first, second] = handed.as_slice() else {
            panic!("it was tried twice");
        };
        assert_eq!(id(first), id(second));
    }
}

#[test]
fn who_has_the_message_does_not_get_it_again() {
    let way = Way::default();
    let server = MailServer::builder().outbox(way.clone()).open().unwrap();
    let error = mail(&server, "Jane <JANE@example.org>; never@example.org")
        .bcc("audit@example.com")
        .send()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.to_string().contains("audit"), "{error}");
    let draft = error.into_draft();
    let left: Vec<_> = draft
        .recipients()
        .iter()
        .map(cdonts::Recipient::address)
        .collect();
    assert_eq!(left, ["never@example.org"]);
}

#[test]
fn the_credentials_of_the_session_go_with_its_messages_alone() {
    let way = Way {
        needs_credentials: true,
        ..Way::default()
    };
    let server = MailServer::builder()
        .outbox(way.clone())
        .authenticate(|_| true)
        .open()
        .unwrap();
    // Without them nothing goes, and it is said before anything else.
    let error = NewMail::new(&server).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let error = Session::logon_smtp(&server, "", "jane@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for user in ["jane@example.com", "joe@example.com"] {
        let session = Session::logon(&server, Credentials::password(user, "secret")).unwrap();
        let mut draft = session.outbox().messages().add("x", "y");
        draft
            .recipients_mut()
            .add("", "ann@example.org", RecipientType::To);
        draft.send().unwrap();
        let last = way.handed().pop().unwrap();
        assert_eq!(last.user.as_deref(), Some(user));
        assert_eq!(last.reverse_path, user);
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_when_the_server_is_opened() {
    let refused = |builder: cdonts::MailServerBuilder| {
        let error = builder.open_temporary().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    };
    refused(
        MailServer::builder()
            .outbox(Way::default())
            .local_domain("example.com"),
    );
    refused(
        MailServer::builder()
            .outbox(Way::default())
            .relay(Way::default()),
    );
    // Nothing to read from is told when somebody reads.
    let server = MailServer::builder().outbox(Way::default()).open().unwrap();
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    let error = session.inbox().messages().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("inbox"), "{error}");
}

#[test]
fn credentials_are_taken_where_somebody_checks_them() {
    let builder = MailServer::builder().local_domain("example.com");
    let server = builder.open_temporary().unwrap();
    let who = || Credentials::password("jane@example.com", "secret").name("Jane");
    let error = Session::logon(&server, who()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let builder = MailServer::builder().local_domain("example.com");
    let server = builder
        .authenticate(|who| who.user().ends_with("@example.com") && who.is_password("secret"))
        .open_temporary()
        .unwrap();
    let session = Session::logon(&server, who()).unwrap();
    assert_eq!(
        (session.name(), session.address()),
        ("Jane", "jane@example.com")
    );
    let wrong = Credentials::password("jane@example.com", "Secret");
    let error = Session::logon(&server, wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    let other = Credentials::password("jane", "secret").address("jane@example.com");
    assert!(Session::logon(&server, other).is_err());
    let no_address = Credentials::password("jane", "secret");
    assert!(Session::logon(&server, no_address).is_err());
}

/// Whoever fills in a form did nothing wrong then, and trying again is no help.
#[test]
fn what_is_wrong_with_the_server_is_not_told_of_the_address() {
    let server = MailServer::builder().outbox(Way::default()).open().unwrap();
    for (to, kind, field) in [
        ("never@example.net", ErrorKind::Refused, Some("To")),
        ("later@example.net", ErrorKind::Network, Some("To")),
        ("unreached@example.net", ErrorKind::Network, None),
        ("unproven@example.net", ErrorKind::LogonFailed, None),
        ("untrusted@example.net", ErrorKind::NotPrivate, None),
    ] {
        let error = mail(&server, to).send().unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, field), "{error}");
    }
}

/// A source of an attachment that fails: nothing is handed over.
#[test]
fn what_cannot_be_read_is_not_handed_over() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    impl std::io::Seek for Broken {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(10)
        }
    }
    let way = Way::default();
    let server = MailServer::builder().outbox(way.clone()).open().unwrap();
    let mail = NewMail::new(&server).from("shop@example.com");
    let mail = mail.to("joe@example.net").attach_reader("a.bin", Broken);
    assert!(mail.send().is_err());
    assert!(way.handed.lock().unwrap().is_empty());
}
