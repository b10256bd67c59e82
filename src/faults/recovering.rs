//! Recovery from everything that may be left at once, on a disk that fails at any call of it: what
//! was handed over arrives, what was deleted stays away, and what was not judged goes back.

use std::os::unix::fs::MetadataExt;

use super::{Fixture, at_every_call};
use crate::MailServer;
use crate::delivery::Handover;
use crate::fs::Op;
use crate::state::new_id;
use crate::transport::{Copy, Folder};

fn text(subject: &str) -> String {
    format!(
        "x-sender: s@example.net\r\nx-receiver: jane@example.com\r\nSubject: {subject}\r\n\r\nText\r\n"
    )
}

/// Every kind of thing that a process that died may leave.
fn leave(fixture: &Fixture) {
    drop(fixture.restarted());
    let dir = |path: &str| std::fs::create_dir_all(fixture.path(path)).unwrap();
    let write = |path: &str, subject: &str| fixture.write(path, &text(subject));
    let judgement = |path: &str, more: u64| {
        let found = std::fs::metadata(fixture.path(path)).unwrap();
        let modified = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        format!("flat_{}_{modified}_{}", found.size() + more, found.ino())
    };

    // Handed over: one whose name another has, one that is there already, and one that is not.
    let id = new_id();
    let committed = format!("State/committed/{id}");
    dir(&format!("{committed}/drop"));
    write(&format!("{committed}/drop/new.eml"), "new");
    write(&format!("{committed}/drop/taken.eml"), "ours");
    write("Drop/taken.eml", "theirs");
    write("Drop/same.eml", "same");
    std::fs::hard_link(
        fixture.path("Drop/same.eml"),
        fixture.path(&format!("{committed}/drop/same.eml")),
    )
    .unwrap();
    dir(&format!("{committed}/claim"));
    write(&format!("{committed}/claim/done.eml"), "done");

    // Not handed over: a claim goes back, the rest goes.
    let staged = format!("State/staging/{}", new_id());
    dir(&format!("{staged}/claim"));
    dir(&format!("{staged}/drop"));
    write(&format!("{staged}/claim/back.eml"), "claimed");
    write(&format!("{staged}/drop/half.eml"), "half");
    write(&format!("{staged}/stray"), "stray");

    // Deleted, and what took the name of one that was to be deleted.
    for (name, more) in [("judged.eml", 0), ("other.eml", 1)] {
        write(name, name);
        let removing = format!("State/removing/{}/{}", new_id(), judgement(name, more));
        dir(&removing);
        std::fs::rename(
            fixture.path(name),
            fixture.path(&format!("{removing}/{name}")),
        )
        .unwrap();
    }
    write("Drop/other.eml", "in its place");
    for (name, more) in [("judged-file.eml", 0), ("other-file.eml", 1)] {
        write(name, name);
        let removing = format!("State/removing/{}_{}.eml", judgement(name, more), new_id());
        std::fs::rename(fixture.path(name), fixture.path(&removing)).unwrap();
    }
    dir(&format!("State/removing/{}", new_id()));

    // A lock alone.
    dir("State/locks");
    fixture.write(&format!("State/locks/{}", new_id()), "");
}

fn arrived(server: &MailServer) -> Vec<String> {
    let session = crate::Session::logon_smtp(server, "", "jane@example.com").unwrap();
    let messages = session.inbox().messages().unwrap();
    let mut subjects: Vec<_> = messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    subjects.sort();
    subjects
}

/// Another process has finished it before we have its lock.
#[test]
fn what_another_has_just_finished_is_nobodys_problem() {
    let fixture = Fixture::new();
    drop(fixture.restarted());
    let mut left = ["committed", "staging", "removing"]
        .map(|dir| {
            let id = new_id();
            let left = fixture.path("State").join(dir).join(&id);
            std::fs::create_dir_all(left.join("drop")).unwrap();
            (id, left)
        })
        .to_vec();
    let file = format!("flat_1_2_3_{}.eml", new_id());
    fixture.write(&format!("State/removing/{file}"), "");
    left.push((file.clone(), fixture.path("State/removing").join(file)));
    fixture.plan.observe(move |op, path| {
        let ours = left.iter().find(|(id, _)| path.ends_with(id));
        if let Some((_, left)) = ours.filter(|_| op == Op::Lock) {
            let _ = std::fs::remove_dir_all(left);
            let _ = std::fs::remove_file(left);
        }
    });
    let done = fixture.watched().deliver_now().unwrap();
    assert_eq!(done.problems(), []);
    fixture.assert_state_is_clean("finished by another");
}

/// Of another program, or of a Maildir whose state this was.
#[test]
fn what_was_to_be_removed_from_elsewhere_is_told_and_kept() {
    let fixture = Fixture::new();
    drop(fixture.restarted());
    let id = new_id();
    std::fs::create_dir_all(fixture.path(&format!("State/removing/{id}/odd"))).unwrap();
    let file = format!("State/removing/new_1_2_3_{}.eml", new_id());
    fixture.write(&file, "");
    let done = fixture.restarted().deliver_now().unwrap();
    assert_eq!(done.problems().len(), 2, "{:?}", done.problems());
    for problem in done.problems() {
        assert!(
            problem.text().contains("not made by this program"),
            "{problem:?}"
        );
    }
    assert!(fixture.path(&file).exists());
}

/// What is handed over for a directory that this server does not have waits for one that has it.
#[test]
fn what_is_for_a_folder_that_is_not_there_is_told_and_kept() {
    let fixture = Fixture::new();
    drop(fixture.restarted());
    let committed = format!("State/committed/{}/queue", new_id());
    std::fs::create_dir_all(fixture.path(&committed)).unwrap();
    fixture.write(&format!("{committed}/{}.eml", new_id()), &text("queued"));
    let done = fixture.restarted().deliver_now().unwrap();
    let told: Vec<_> = done.problems().iter().map(crate::Problem::text).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("has no queue directory"), "{told:?}");
    assert_eq!(fixture.files(&committed).len(), 1);
    // The same in a program that only reads.
    let committed = format!("State/committed/{}/pickup", new_id());
    std::fs::create_dir_all(fixture.path(&committed)).unwrap();
    fixture.write(&format!("{committed}/a.eml"), &text("pickup"));
    let reader = MailServer::builder()
        .drop_dir(fixture.path("Drop"), crate::Profile::default())
        .state_dir(fixture.path("State"));
    let problems = crate::delivery::recover(reader.open().unwrap().spool()).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let told = |problem: &crate::Problem| problem.text().contains("has no Pickup");
    assert!(problems.iter().any(told), "{problems:?}");
    assert_eq!(fixture.files(&committed).len(), 1);
    // Nor is anything begun that would have to wait so.
    let server = fixture.restarted();
    let copy = Copy {
        folder: Folder::Queue,
        name: "a.eml".to_owned(),
        top: String::new(),
        instead: None,
    };
    let staged = Handover::begin(server.spool()).unwrap();
    let staged = staged.stage(&[copy], &|_| Ok(()));
    let error = staged.map(drop).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Configuration, "{error}");
}

#[test]
fn what_somebody_is_at_work_on_is_left_to_him() {
    let fixture = Fixture::new();
    let server = fixture.restarted();
    leave(&fixture);
    let left = || {
        let of = |dir: &str| fixture.files(&format!("State/{dir}"));
        let mut left = ["committed", "staging", "removing"].map(of).concat();
        left.sort();
        left
    };
    let before = left();
    let dirs = server.spool().state.existing().unwrap().unwrap();
    let locks: Vec<_> = before
        .iter()
        .map(|id| dirs.take(id).unwrap().unwrap())
        .collect();
    assert_eq!(crate::delivery::recover(server.spool()).unwrap(), []);
    assert_eq!(left(), before);
    drop(locks);
    assert_eq!(crate::delivery::recover(server.spool()).unwrap(), []);
    assert_eq!(left(), [""; 0]);
}

#[test]
fn what_is_left_at_once_is_finished_or_undone_whatever_fails() {
    at_every_call("everything is recovered", |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        leave(fixture);
        fixture.plan.arm(n, fault);
        let mut builder = MailServer::builder()
            .mailroot(fixture.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(crate::Writer::Renames);
        builder.probe = fixture.plan.probe();
        drop(builder.open());
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let server = fixture.restarted();
        let done = server.deliver_now().unwrap();
        assert_eq!(done.problems(), [], "{context}");
        let expected = [
            "claimed",
            "in its place",
            "new",
            "other-file.eml",
            "other.eml",
            "ours",
            "same",
            "theirs",
        ];
        assert_eq!(arrived(&server), expected, "{context}");
        assert_eq!(fixture.files("Pickup"), [""; 0], "{context}");
        fixture.assert_state_is_clean(&context);
        struck
    });
}
