//! Large messages in little memory, counted by the allocator. One test alone in its process: what
//! another thread allocates would count too.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::io::{self, Read, Seek, SeekFrom};

use cdonts::{MessageFile, NewMail};
use peak_alloc::PeakAlloc;
use support::Root;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZE: u64 = 50_000_000;
const MOST: usize = 8_000_000;

/// Fifty megabytes that nobody holds.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = SIZE.saturating_sub(self.0);
        let count = buffer.len().min(usize::try_from(left).unwrap());
        for (byte, place) in buffer[..count].iter_mut().zip(self.0..) {
            *byte = u8::try_from(place % 251).unwrap();
        }
        self.0 += count as u64;
        Ok(count)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0 = match to {
            SeekFrom::Start(place) => place,
            SeekFrom::End(distance) => SIZE.saturating_add_signed(distance),
            SeekFrom::Current(distance) => self.0.saturating_add_signed(distance),
        };
        Ok(self.0)
    }
}

/// What the work takes above what there was before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = work();
    (done, MEMORY.peak_usage().saturating_sub(before))
}

#[test]
fn a_large_attachment_is_sent_and_read_in_flat_memory() {
    let root = Root::new();
    let server = root.delivering();
    let (sent, memory) = peak(|| {
        NewMail::new(&server)
            .from("shop@example.com")
            .to("jane@example.com")
            .subject("large")
            .body("text")
            .attach_reader("data.bin", Endless(0))
            .send()
    });
    sent.unwrap();
    assert!(memory < MOST, "sending takes {memory}");
    let jane = support::session(&server, "jane@example.com");
    let (message, memory) = peak(|| {
        let messages = jane.inbox().messages().unwrap();
        let message = messages.get(0).unwrap();
        assert_eq!(message.subject(), "large");
        message
    });
    assert!(memory < MOST, "listing takes {memory}");
    let (text, memory) = peak(|| message.text().unwrap());
    assert_eq!(text.trim_end(), "text");
    assert!(memory < MOST, "the text takes {memory}");
    let path = root.join("data.bin");
    let ((), memory) = peak(|| {
        let attachments = message.attachments().unwrap();
        let attachment = attachments.get(0).unwrap();
        assert_eq!(attachment.size().unwrap(), SIZE);
        attachment.write_to_file(&path).unwrap();
        let mut reader = attachment.reader().unwrap();
        assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), SIZE);
        message.problems().unwrap();
    });
    assert!(memory < MOST, "the attachment takes {memory}");
    let mut written = std::fs::File::open(&path).unwrap();
    let mut meant = Endless(0);
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = meant.read(&mut ours).unwrap();
        written.read_exact(&mut theirs[..count]).unwrap();
        assert_eq!(ours[..count], theirs[..count]);
        if count == 0 {
            break;
        }
    }
    // The same message as a file of its own, and embedded in another.
    let file = root.join("Drop").join(message.file_name());
    let (subject, memory) = peak(|| MessageFile::open(&file).unwrap().subject().to_owned());
    assert_eq!(subject, "large");
    assert!(memory < MOST, "a message file takes {memory}");
}
