//! A Dovecot of the test's own, on loopback, in a directory of its own: POP3, IMAP and LMTP for the
//! users ann and bob of example.com, with the passwords annpw and bobpw.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It ends with the value.
pub(crate) struct Dovecot {
    dir: tempfile::TempDir,
    master: Child,
    pub(crate) imap: u16,
    pub(crate) imaps: u16,
    pub(crate) pop3: u16,
    pub(crate) pop3s: u16,
    pub(crate) lmtp: u16,
}

fn free_ports() -> [u16; 5] {
    // Held together, so that they differ.
    let listeners = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {told}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Dovecot {
    /// `None` where there is none, or this is not root; on CI that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let is_root = run("id", &["-u"]) == "0";
        if !is_root || !Path::new("/usr/sbin/dovecot").exists() {
            println!("skipped: no dovecot, or not root");
            assert!(!is_root || std::env::var("CI").as_deref() != Ok("true"));
            return None;
        }
        // Its own users must come into it, and its socket paths must be short.
        let dir = tempfile::Builder::new()
            .prefix("dc")
            .tempdir_in("/tmp")
            .unwrap();
        run("chmod", &["755", dir.path().to_str().unwrap()]);
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["home", "keys/default/HS256"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        run("chown", &["-R", "nobody", &at("home")]);
        super::certificate::certificate(dir.path());
        std::fs::write(at("keys/default/HS256/default"), TOKEN_KEY).unwrap();
        let (uid, gid) = (run("id", &["-u", "nobody"]), run("id", &["-g", "nobody"]));
        let user = |name: &str| {
            format!(
                "{name}@example.com:{{PLAIN}}{name}pw:{uid}:{gid}::{}/{name}::\n",
                at("home")
            )
        };
        std::fs::write(at("users"), user("ann") + &user("bob")).unwrap();
        let ports @ [imap, imaps, pop3, pop3s, lmtp] = free_ports();
        std::fs::write(at("dovecot.conf"), configuration(dir.path(), &ports)).unwrap();
        std::fs::write(
            at("oauth2.ext"),
            format!(
                "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={}/\n\
                 username_attribute = email\n",
                at("keys")
            ),
        )
        .unwrap();
        let master = Command::new("/usr/sbin/dovecot")
            .args(["-c", &at("dovecot.conf"), "-F"])
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let dovecot = Self {
            dir,
            master,
            imap,
            imaps,
            pop3,
            pop3s,
            lmtp,
        };
        let begin = Instant::now();
        while !dovecot.log().contains("starting up") {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{}",
                dovecot.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(dovecot)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("dc.log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn maildir(&self, user: &str) -> PathBuf {
        self.path("home").join(user).join("Maildir")
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.path("cert.pem")).unwrap()
    }

    /// Delivers by LMTP; the message's lines end with CR LF.
    pub(crate) fn deliver(&self, user: &str, message: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.lmtp)).unwrap();
        let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut expect = |code: &str| loop {
            let line = replies.next().unwrap().unwrap();
            assert!(line.starts_with(code), "{line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        };
        expect("220");
        for (command, code) in [
            ("LHLO test".to_owned(), "250"),
            ("MAIL FROM:<sam@example.net>".to_owned(), "250"),
            (format!("RCPT TO:<{user}@example.com>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            stream
                .write_all(format!("{command}\r\n").as_bytes())
                .unwrap();
            expect(code);
        }
        let mut wire = Vec::new();
        for line in message.split_inclusive(|&byte| byte == b'\n') {
            if line.starts_with(b".") {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        wire.extend_from_slice(b".\r\n");
        stream.write_all(&wire).unwrap();
        expect("250");
    }

    /// Many small messages at once, as Dovecot would have written them.
    pub(crate) fn fill(&self, user: &str, count: usize) {
        let maildir = self.maildir(user);
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(maildir.join(name)).unwrap();
        }
        for number in 0..count {
            let text = format!(
                "From: sam@example.net\nTo: {user}@example.com\nSubject: n {number:07}\n\nHello\n"
            );
            let (size, lines) = (text.len(), text.matches('\n').count());
            let name = format!("1700000000.M{number:07}.x,S={size},W={}:2,S", size + lines);
            std::fs::write(maildir.join("cur").join(name), text).unwrap();
        }
        run(
            "chown",
            &["-R", "nobody", maildir.parent().unwrap().to_str().unwrap()],
        );
    }

    /// The processes of sessions end at once, in the middle of whatever they do.
    pub(crate) fn cut_sessions(&self) {
        let who = run(
            "doveadm",
            &[
                "-c",
                &self.path("dovecot.conf").display().to_string(),
                "who",
                "-1",
            ],
        );
        for line in who.lines().skip(1) {
            if let Some(pid) = line.split_whitespace().nth(2) {
                let _ = Command::new("kill").args(["-KILL", pid]).status();
            }
        }
    }

    pub(crate) fn doveadm(&self, args: &[&str]) -> String {
        let configuration = self.path("dovecot.conf").display().to_string();
        let all: Vec<&str> = ["-c", &configuration]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        run("doveadm", &all)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        let _ = Command::new("kill")
            .arg(self.master.id().to_string())
            .status();
        let _ = self.master.wait();
    }
}

/// In base64: what tokens are signed with.
const TOKEN_KEY: &str = "YS1zaGFyZWQtc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=";

fn configuration(dir: &Path, [imap, imaps, pop3, pop3s, lmtp]: &[u16; 5]) -> String {
    let dir = dir.display();
    format!(
        "base_dir = {dir}/run\nstate_dir = {dir}/run\nlog_path = {dir}/dc.log\n\
         protocols = imap pop3 lmtp\nlisten = 127.0.0.1\n\
         ssl_cert = <{dir}/cert.pem\nssl_key = <{dir}/key.pem\n\
         disable_plaintext_auth = no\nauth_mechanisms = plain login xoauth2\n\
         auth_failure_delay = 0\nmail_location = maildir:~/Maildir\n\
         postmaster_address = postmaster@example.test\nfirst_valid_uid = 100\n\
         mail_max_userip_connections = 100\nmaildir_very_dirty_syncs = yes\n\
         passdb {{\n driver = oauth2\n mechanisms = xoauth2\n args = {dir}/oauth2.ext\n}}\n\
         passdb {{\n driver = passwd-file\n mechanisms = plain login\n\
         args = username_format=%Lu {dir}/users\n}}\n\
         userdb {{\n driver = passwd-file\n args = username_format=%Lu {dir}/users\n}}\n\
         service anvil {{\n unix_listener anvil-auth-penalty {{\n  mode = 0\n }}\n}}\n\
         service imap-login {{\n inet_listener imap {{\n  port = {imap}\n }}\n\
         inet_listener imaps {{\n  port = {imaps}\n  ssl = yes\n }}\n}}\n\
         service pop3-login {{\n inet_listener pop3 {{\n  port = {pop3}\n }}\n\
         inet_listener pop3s {{\n  port = {pop3s}\n  ssl = yes\n }}\n}}\n\
         service lmtp {{\n inet_listener lmtp {{\n  port = {lmtp}\n }}\n}}\n"
    )
}
