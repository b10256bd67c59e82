//! A Postfix of the test's own, on loopback, in a directory of its own.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It ends with the value.
pub(crate) struct Postfix {
    dir: tempfile::TempDir,
    master: Child,
    pub(crate) port: u16,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {told}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Postfix {
    /// `None` where there is none, or this is not root; on CI that is a failure.
    pub(crate) fn start(extra: &[&str], services_of_ours: &str) -> Option<Self> {
        let is_root = run("id", &["-u"]).is_some_and(|id| id.trim() == "0");
        if !is_root || !Path::new("/usr/sbin/postfix").exists() {
            println!("skipped: no postfix, or not root");
            assert!(!is_root || std::env::var("CI").as_deref() != Ok("true"));
            return None;
        }
        // Its own users must come into it.
        let dir = tempfile::Builder::new().prefix("pf").tempdir().unwrap();
        run("chmod", &["755", dir.path().to_str()?])?;
        let port = free_port();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["pf", "pfq", "pfdata", "mail"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        run("chown", &["postfix", &at("pfdata")])?;
        run("chown", &["nobody", &at("mail")])?;
        crate::certificate::certificate(dir.path());
        let id = |flag: &str| run("id", &[flag, "nobody"]).unwrap().trim().to_owned();
        // As users copy it, but for the places and the domains of this test.
        let shared = include_str!("../../examples/postfix/shared-maildir.cf")
            .replace("= example.com", "= example.org example.com")
            .replace("/var/lib/cdonts", &at("mail"))
            .replace(
                "uid_maps = static:1000",
                &format!("uid_maps = static:{}", id("-u")),
            )
            .replace(
                "gid_maps = static:1000",
                &format!("gid_maps = static:{}", id("-g")),
            );
        let main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {0}/pfq\ndata_directory = {0}/pfdata\n\
             maillog_file = {0}/pf.log\nmaillog_file_prefixes = {0}\n\
             myhostname = mail.example.test\nmydestination =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             disable_dns_lookups = yes\nsmtpd_peername_lookup = no\nalias_maps =\n\
             default_transport = error:5.1.1 no mail leaves this machine\n\
             smtpd_tls_security_level = may\n\
             smtpd_tls_chain_files = {0}/key.pem, {0}/cert.pem\n\
             smtpd_error_sleep_time = 0\nsmtpd_sasl_auth_enable = no\n\
             smtpd_recipient_restrictions = check_recipient_access \
             inline:{{ {{later@example.org = 450 4.2.0 come back later}} }}, \
             reject_unauth_destination\n{1}\n{2}\n",
            dir.path().display(),
            shared,
            extra.join("\n"),
        );
        let services = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
             qmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
             defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             flush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\n\
             showq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\n\
             virtual unix - n n - - virtual\nsmtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\n\
             anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
             postlog unix-dgram n - n - 1 postlogd\n";
        let master = format!("127.0.0.1:{port} inet n - n - - smtpd\n{services}{services_of_ours}");
        std::fs::write(at("pf/main.cf"), main).unwrap();
        std::fs::write(at("pf/master.cf"), master).unwrap();
        // It waits until its settings are two seconds old.
        run(
            "touch",
            &[
                "-d",
                "10 seconds ago",
                &at("pf/main.cf"),
                &at("pf/master.cf"),
            ],
        )?;
        run("postfix", &["-c", &at("pf"), "check"])?;
        let master = Command::new("/usr/lib/postfix/sbin/master")
            .args(["-c", &at("pf"), "-d"])
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let postfix = Self { dir, master, port };
        postfix.wait_for("daemon started");
        Some(postfix)
    }

    fn wait_for(&self, text: &str) {
        let begin = Instant::now();
        while !self.log().contains(text) {
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("pf.log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[allow(dead_code, reason = "each test file uses its part")]
    pub(crate) fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.path("cert.pem")).unwrap()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The whole group: a server of it would keep the port.
        let group = format!("-{}", self.master.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.master.wait();
    }
}
