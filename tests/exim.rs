//! Beside a real Exim: it hands mail over by LMTP, and fills a drop directory that is read under
//! its profile.
#![cfg(all(feature = "smtp", feature = "listen", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cdonts::{Listener, MailServer, NewMail, Profile, Session, Smtp};
use support::Root;

/// An Exim of the test's own, on loopback; it ends with the value.
struct Exim {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Exim {
    /// Delivers example.org into a directory, and example.com by LMTP to that port. `None` where
    /// there is no Exim, or this is not root; on CI that is a failure.
    fn start(lmtp: u16) -> Option<Self> {
        let program =
            std::env::var_os("CDONTS_EXIM").map_or("/usr/sbin/exim4".into(), PathBuf::from);
        let id = Command::new("id").arg("-u").output().ok()?;
        let is_root = id.stdout.starts_with(b"0");
        if !is_root || !program.exists() {
            println!("skipped: no exim, or not root");
            assert!(!is_root || std::env::var("CI").as_deref() != Ok("true"));
            return None;
        }
        let known = Command::new("getent")
            .args(["passwd", "Debian-exim"])
            .output();
        if !known.is_ok_and(|known| known.status.success()) {
            let made = Command::new("useradd")
                .args([
                    "-r",
                    "-U",
                    "-d",
                    "/var/spool/exim4",
                    "-s",
                    "/usr/sbin/nologin",
                ])
                .arg("Debian-exim")
                .status();
            assert!(made.is_ok_and(|made| made.success()));
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let dir = tempfile::Builder::new().prefix("ex").tempdir().unwrap();
        let run = |program: &str, args: &[&str]| {
            let done = Command::new(program)
                .args(args)
                .current_dir(dir.path())
                .status();
            assert!(done.is_ok_and(|done| done.success()), "{program} {args:?}");
        };
        run("chmod", &["755", "."]);
        run("mkdir", &["spool", "drop"]);
        run("chown", &["Debian-exim:Debian-exim", "spool", "drop"]);
        // As users copy it, but for the places and the domain of the drop.
        let drop = include_str!("../examples/exim/drop.conf")
            .replace("example.com", "example.org")
            .replace(
                "/var/mail/shared",
                &dir.path().join("drop").display().to_string(),
            )
            .replace("user = mail", "user = Debian-exim\n  batch_max = 10");
        let by_lmtp = include_str!("../examples/exim/lmtp.conf").replace("2424", &lmtp.to_string());
        let parts = [drop, by_lmtp].map(|conf| {
            let (routers, transports) = conf.split_once("# Among the transports:").unwrap();
            (routers.to_owned(), transports.to_owned())
        });
        let [(drop_router, drop_transport), (lmtp_router, lmtp_transport)] = parts;
        let config = format!(
            "exim_path = {1}\nspool_directory = {0}/spool\nlog_file_path = {0}/spool/%slog\n\
             pid_file_path = {0}/exim.pid\nprimary_hostname = mail.example.test\n\
             local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {2}\ndisable_ipv6\nhost_lookup =\n\
             keep_environment =\nnever_users =\nacl_smtp_rcpt = acl_rcpt\nacl_smtp_data = acl_ok\n\
             begin acl\nacl_rcpt:\n  accept domains = example.org : example.com\n  deny\n\
             acl_ok:\n  accept\nbegin routers\n{drop_router}{lmtp_router}\
             begin transports\n{drop_transport}{lmtp_transport}begin retry\n* * F,1h,10s\n",
            dir.path().display(),
            program.display(),
            port,
        );
        std::fs::write(dir.path().join("exim.conf"), config).unwrap();
        let child = Command::new(&program)
            .arg("-C")
            .arg(dir.path().join("exim.conf"))
            .args(["-bdf", "-q2s"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exim = Self { dir, child, port };
        support::eventually(|| exim.log().contains("daemon started"));
        Some(exim)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("spool/mainlog")).unwrap_or_default()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

#[test]
fn exim_hands_over_by_lmtp_and_fills_a_drop() {
    let root = Root::new();
    let ours = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .open()
        .unwrap();
    let listening = Listener::lmtp(&ours).listen("127.0.0.1:0").unwrap();
    let Some(exim) = Exim::start(listening.address().port()) else {
        return;
    };
    let sender = Root::new();
    let sender = sender
        .builder()
        .create_directories()
        .relay(Smtp::plain("127.0.0.1").port(exim.port))
        .open()
        .unwrap();
    for number in 0..5 {
        NewMail::new(&sender)
            .from("shop@example.net")
            .to("jane@example.com; joe@example.com; ann@example.org; bob@example.org")
            .to("nobody@example.edu")
            .subject(number.to_string())
            .body(".\nend")
            .send()
            .unwrap();
    }
    sender.deliver_now().unwrap();
    assert_eq!(sender.counts().relayed, 20, "{:?}", exim.log());
    // Exim refuses what it does not take: the sender is not local, so that the report waits.
    assert_eq!(sender.counts().bounced, 5);
    let reader = || {
        MailServer::builder()
            .drop_dir(exim.dir.path().join("drop"), Profile::Exim)
            .state_dir(exim.dir.path().join("state"))
            .open()
            .unwrap()
    };
    support::eventually(|| exim.dir.path().join("drop/new").exists());
    for (server, address) in [
        (ours.clone(), "jane@example.com"),
        (ours, "joe@example.com"),
        (reader(), "ann@example.org"),
        (reader(), "bob@example.org"),
    ] {
        let inbox = Session::logon_smtp(&server, "", address).unwrap().inbox();
        for number in 0..5 {
            let subject = number.to_string();
            let message = inbox
                .wait_for_message(|one| one.subject() == subject, Duration::from_secs(30))
                .unwrap();
            let text = message.text().unwrap().replace("\r\n", "\n");
            assert_eq!(text.trim_end(), ".\nend");
            assert_eq!(message.reverse_path(), "shop@example.net");
            assert_eq!(message.delivered_to(), address);
        }
        assert_eq!(inbox.count().unwrap(), 5, "{}", exim.log());
    }
}
