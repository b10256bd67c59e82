//! The same work by this library and by others, side by side: `cargo bench --bench speed`.
//!
//! The report holds the targets; this is for looking at one of them while working on it.
#![allow(missing_docs, reason = "benchmarks are read, not called")]
#![allow(clippy::wildcard_imports, reason = "the groups are one file")]

use std::fs::File;

use cdonts::{Durability, MessageFile};
use divan::{Bencher, black_box};
use peers::{TEXT, builder, draft, lettre_message, mailroot, publish};

mod peers;

fn main() {
    divan::main();
}

#[divan::bench_group]
mod compose_2_kb_of_text_and_html {
    use super::*;

    fn bodies() -> (String, String) {
        let html = format!("<html><body><p>{}</p></body></html>", TEXT.repeat(14));
        (TEXT.repeat(12), html)
    }

    #[divan::bench]
    fn cdonts(bencher: Bencher<'_, '_>) {
        let server = cdonts::MailServer::temporary().expect("a server");
        let (text, html) = bodies();
        bencher.bench_local(|| {
            let mut message = Vec::new();
            let draft = draft(&server, &text, Some(&html));
            draft.write_to(&mut message).expect("it is composed");
            message
        });
    }

    #[divan::bench]
    fn lettre(bencher: Bencher<'_, '_>) {
        let (text, html) = bodies();
        bencher.bench_local(|| lettre_message(&text, &html));
    }

    #[divan::bench]
    fn mail_builder(bencher: Bencher<'_, '_>) {
        let (text, html) = bodies();
        bencher.bench_local(|| {
            let message = builder(&text).html_body(html.as_str());
            message.write_to_vec().expect("it is composed")
        });
    }
}

#[divan::bench_group]
mod compose_1_mb_of_text {
    use super::*;

    fn text(word: &str) -> String {
        TEXT.repeat(1_000_000 / TEXT.len()).replace("fox", word)
    }

    #[divan::bench(args = ["fox", "füchs", "狐"])]
    fn cdonts(bencher: Bencher<'_, '_>, word: &str) {
        let server = cdonts::MailServer::temporary().expect("a server");
        let draft = draft(&server, &text(word), None);
        bencher.bench_local(|| {
            let mut message = Vec::new();
            draft.write_to(&mut message).expect("it is composed");
            message
        });
    }

    #[divan::bench(args = ["fox", "füchs", "狐"])]
    fn mail_builder(bencher: Bencher<'_, '_>, word: &str) {
        let text = text(word);
        bencher.bench_local(|| builder(&text).write_to_vec().expect("it is composed"));
    }
}

#[divan::bench_group]
mod send_without_syncs {
    use super::*;

    #[divan::bench]
    fn cdonts(bencher: Bencher<'_, '_>) {
        let root = tempfile::tempdir().expect("a directory");
        let server = mailroot(&root, Durability::Atomic);
        let text = TEXT.repeat(27);
        bencher.bench_local(|| draft(&server, &text, None).send().expect("it is sent"));
    }

    #[divan::bench]
    fn system_calls(bencher: Bencher<'_, '_>) {
        let root = tempfile::tempdir().expect("a directory");
        let dir = File::open(root.path()).expect("a directory");
        let bytes = TEXT.repeat(30);
        let mut number = 0;
        bencher.bench_local(|| {
            number += 1;
            publish(
                root.path(),
                &dir,
                &number.to_string(),
                bytes.as_bytes(),
                false,
            );
        });
    }
}

#[divan::bench_group]
mod read_2_kb {
    use super::*;

    fn message() -> Vec<u8> {
        let html = format!("<p>{}</p>", TEXT.repeat(14));
        lettre_message(&TEXT.repeat(12), &html)
    }

    #[divan::bench]
    fn cdonts(bencher: Bencher<'_, '_>) {
        let bytes = message();
        bencher.bench_local(|| {
            let message = MessageFile::from_bytes(black_box(bytes.clone())).expect("a message");
            message.text().expect("a text").len()
        });
    }

    #[divan::bench]
    fn mail_parser(bencher: Bencher<'_, '_>) {
        let bytes = message();
        bencher.bench_local(|| {
            let message = mail_parser::MessageParser::default().parse(black_box(&bytes));
            message
                .expect("a message")
                .body_text(0)
                .map(|text| text.len())
        });
    }
}
