//! The way out by a `sendmail` program: what it is given, and what its exit codes mean.
#![cfg(all(feature = "sendmail", unix))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cdonts::{Envelope, MailServer, NewMail, Sendmail};
use support::{Root, messages, session};

/// A server whose relay is this shell script.
fn server(root: &Root, script: &str) -> MailServer {
    let program = root.write("sendmail", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    root.builder()
        .create_directories()
        .local_domain("example.com")
        .relay(Sendmail::at(program).timeout(Duration::from_secs(20)))
        .open()
        .unwrap()
}

fn send(server: &MailServer) {
    NewMail::new(server)
        .from("shop@example.com")
        .to("joe@example.net; \"-bad name\"@example.net")
        .subject("Hi")
        .body("one\n.\ntwo")
        .send()
        .unwrap();
    server.deliver_now().unwrap();
}

#[test]
fn the_program_gets_the_envelope_as_arguments_and_the_message_as_it_is() {
    let root = Root::new();
    let out = root.dir("out");
    let script = format!(
        "printf '%s\\n' \"$@\" > {0}/args; cat > {0}/message",
        out.display()
    );
    let server = server(&root, &script);
    send(&server);
    assert_eq!(server.counts().relayed, 2, "{:?}", server.queue());
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(
        read("args"),
        "-i\n-f\nshop@example.com\n--\njoe@example.net\n\"-bad name\"@example.net\n"
    );
    let message = read("message");
    assert!(
        message.starts_with("Date: ") && message.ends_with("one\r\n.\r\ntwo"),
        "{message}"
    );
}

#[test]
fn exit_codes_tell_whether_it_is_tried_again() {
    for (script, is_refused, text) in [
        (
            "echo mailbox full >&2; cat >/dev/null; exit 75",
            false,
            "mailbox full",
        ),
        ("cat >/dev/null; exit 67", true, ""),
        ("exit 64", false, "64"),
        ("kill -9 $$", false, "signal"),
    ] {
        let root = Root::new();
        let server = server(&root, script);
        send(&server);
        let waiting = server.queue().unwrap();
        let bounces = messages(&server, "shop@example.com").len();
        assert_eq!(
            (waiting.is_empty(), bounces),
            (is_refused, usize::from(is_refused)),
            "{script}"
        );
        if let Some(message) = waiting.first() {
            let told = message.last_reply("joe@example.net");
            assert!(told.contains(text), "{told}");
        }
    }
}

#[test]
fn a_program_that_is_not_there_or_does_not_end_is_tried_again() {
    let root = Root::new();
    let server = root
        .builder()
        .create_directories()
        .relay(Sendmail::at(root.join("none")))
        .open()
        .unwrap();
    send(&server);
    let told = server.queue().unwrap().remove(0);
    assert!(
        told.last_reply("joe@example.net")
            .contains("cannot be started")
    );
    let root = Root::new();
    let program = root.write("slow", "#!/bin/sh\nexec sleep 100\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let slow = Sendmail::at(program).timeout(Duration::from_millis(100));
    let server = root
        .builder()
        .create_directories()
        .relay(slow)
        .open()
        .unwrap();
    send(&server);
    let told = server.queue().unwrap().remove(0);
    assert!(told.last_reply("joe@example.net").contains("does not end"));
}

#[test]
fn what_the_program_has_started_itself_is_not_waited_for() {
    for (script, is_relayed) in [
        // Its child holds the pipes.
        ("cat >/dev/null; (sleep 40; touch DONE) & exit 0", true),
        ("cat >/dev/null; (sleep 40; touch DONE); true", false),
    ] {
        let root = Root::new();
        let done = root.join("done");
        let script = script.replace("DONE", &done.display().to_string());
        let program = root.write("slow", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let slow = Sendmail::at(program).timeout(Duration::from_millis(300));
        let server = root
            .builder()
            .create_directories()
            .relay(slow)
            .open()
            .unwrap();
        send(&server);
        assert!(!done.exists(), "it waited for the child");
        assert_eq!(
            server.counts().relayed == 2,
            is_relayed,
            "{:?}",
            server.queue()
        );
    }
}

#[test]
fn many_recipients_are_more_than_one_command() {
    let root = Root::new();
    let out = root.dir("out");
    let script = format!("echo $# >> {}/counts; cat >/dev/null", out.display());
    let server = server(&root, &script);
    let mail = NewMail::new(&server).from("shop@example.com");
    let all: Vec<String> = (0..250)
        .map(|number| format!("{number}@example.net"))
        .collect();
    mail.to(all.join("; ")).body("text").send().unwrap();
    server.deliver_now().unwrap();
    assert_eq!(server.counts().relayed, 250);
    // Four arguments come before them.
    assert_eq!(
        std::fs::read_to_string(out.join("counts")).unwrap(),
        "104\n104\n54\n"
    );
}

#[test]
fn nobody_knows_what_became_of_a_message_that_was_taken_by_halves() {
    // More than a pipe holds.
    let large = "x".repeat(70) + "\n";
    let large = large.repeat(10_000);
    for (script, text, reason) in [
        ("exit 0", large.as_str(), "did not read all"),
        ("cat > /dev/null; sleep 60", "short", "does not end"),
        ("sleep 60", large.as_str(), "does not end"),
        // What it has started holds the pipe of the message.
        (
            "exec 3<&0; sleep 5 <&3 >/dev/null 2>&1 & exit 0",
            large.as_str(),
            "did not read all",
        ),
    ] {
        let root = Root::new();
        let program = root.write("sendmail", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let relay = Sendmail::at(program).timeout(Duration::from_millis(400));
        let server = root
            .builder()
            .create_directories()
            .local_domain("example.com")
            .relay(relay)
            .open()
            .unwrap();
        let mail = NewMail::new(&server).from("shop@example.com");
        let mail = mail.to("joe@example.net").subject("Hi").body(text);
        mail.send().unwrap();
        server.deliver_now().unwrap();
        let queue = server.queue().unwrap();
        assert_eq!((queue.len(), server.counts().relayed), (1, 0), "{script}");
        let told = queue[0].last_reply("joe@example.net");
        assert!(told.contains(reason), "{script}: {told}");
    }
}

#[test]
fn a_report_goes_out_with_the_null_reverse_path() {
    let root = Root::new();
    let out = root.dir("out");
    let script = format!(
        "printf '%s\\n' \"$@\" > {}/args; cat > /dev/null",
        out.display()
    );
    let server = server(&root, &script);
    let outbox = session(&server, "shop@example.com").outbox();
    let envelope = Envelope::new("", ["joe@example.net"]);
    let text = "From: shop@example.com\r\nSubject: failed\r\n\r\ntext\r\n";
    outbox.send_raw(&envelope, text.as_bytes()).unwrap();
    server.deliver_now().unwrap();
    let args = std::fs::read_to_string(out.join("args")).unwrap();
    assert_eq!(args, "-i\n-f\n<>\n--\njoe@example.net\n");
}

/// A daemon may have its children's ends thrown away by the system: then nobody can say how the
/// program ended, and the message may be sent.
#[test]
fn without_the_ends_of_children_nobody_knows_what_became_of_it() {
    let of_child = support::role();
    let Some((_, path)) = of_child else {
        for name in ["quick", "slow"] {
            let root = Root::new();
            let output = std::process::Command::new("bash")
                .args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("without_the_ends_of_children_nobody_knows_what_became_of_it")
                .env("CDONTS_TEST_ROLE", name)
                .env("CDONTS_TEST_DIR", root.path().join(name))
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains("told: 4.3.0"), "{name}: {said}");
            assert!(said.contains("does not end"), "{name}: {said}");
        }
        return;
    };
    let root = Root::new();
    let is_slow = path.ends_with("slow");
    let script = if is_slow {
        "exec sleep 60"
    } else {
        "exec cat >/dev/null"
    };
    let program = root.write("sendmail", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let time = Duration::from_millis(if is_slow { 200 } else { 20_000 });
    let server = root
        .builder()
        .create_directories()
        .relay(Sendmail::at(program).timeout(time))
        .open()
        .unwrap();
    send(&server);
    let queue = server.queue().unwrap();
    println!("told: {}", queue[0].last_reply("joe@example.net"));
}
