//! uuencode: how mail carried files before MIME, within its text.

use super::encode::Source;
use crate::error::Result;

/// Octets in a full line.
const LINE: usize = 45;

/// A file found in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

/// Writes a file as a block of lines, from `begin` to `end`.
pub(crate) fn write(
    name: &str,
    from: &mut dyn Source,
    mut put_line: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    put_line(&format!("begin 644 {name}"))?;
    let mut block = vec![0; LINE * 1024];
    loop {
        let count = from.fill(&mut block)?;
        if count == 0 {
            break;
        }
        for octets in block.get(..count).unwrap_or_default().chunks(LINE) {
            put_line(&line(octets))?;
        }
    }
    put_line("`")?;
    put_line("end")
}

/// Zero is written as a grave accent, since blanks at a line's end get lost on the way.
fn line(octets: &[u8]) -> String {
    let mut text = String::with_capacity(LINE / 3 * 4 + 1);
    let mut push = |value: u8| {
        text.push(match value & 63 {
            0 => '`',
            value => char::from(value + 32),
        });
    };
    push(u8::try_from(octets.len()).unwrap_or(0));
    for group in octets.chunks(3) {
        let at = |index: usize| group.get(index).copied().unwrap_or(0);
        push(at(0) >> 2);
        push(at(0) << 4 | at(1) >> 4);
        push(at(1) << 2 | at(2) >> 6);
        push(at(2));
    }
    text
}

/// Whether a reader finds a file under this name.
pub(crate) fn can_name(name: &str) -> bool {
    let line = format!("begin 644 {name}");
    name.is_ascii() && begin(line.as_bytes()) == Some(name.as_bytes())
}

/// Whether a line of a text would be taken for the beginning of a file.
pub(crate) fn begins_file(line: &[u8]) -> bool {
    begin(line).is_some()
}

/// The name after `begin` and a mode.
fn begin(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?;
    let space = memchr::memchr(b' ', rest)?;
    let (mode, name) = rest.split_at(space);
    let is_mode =
        (3..=4).contains(&mode.len()) && mode.iter().all(|byte| (b'0'..=b'7').contains(byte));
    let name = name.trim_ascii();
    (is_mode && !name.is_empty()).then_some(name)
}

/// Takes the files out of a text. What only looks like one stays text, and so does one that would
/// bring them over so many octets or files: a line that lost its blanks stands for many octets.
pub(crate) fn split(text: &[u8], octets: usize, most: usize) -> (Vec<u8>, Vec<File>) {
    let mut left = octets;
    let mut rest = text;
    let mut plain = Vec::with_capacity(text.len());
    let mut files = Vec::new();
    while files.len() < most
        && let Some(at) = find_begin(rest)
    {
        let (before, from) = rest.split_at(at);
        plain.extend(before);
        match read(from, left) {
            Some((file, len)) => {
                left -= file.content.len();
                files.push(file);
                rest = from.get(len..).unwrap_or_default();
            }
            None => {
                let end = memchr::memchr(b'\n', from).map_or(from.len(), |end| end + 1);
                plain.extend(from.get(..end).unwrap_or_default());
                rest = from.get(end..).unwrap_or_default();
            }
        }
    }
    plain.extend(rest);
    (plain, files)
}

/// Where the next line that begins a file is.
fn find_begin(text: &[u8]) -> Option<usize> {
    let starts = memchr::memmem::find_iter(text, b"begin ");
    starts.into_iter().find(|&at| {
        let at_line_start = at
            .checked_sub(1)
            .is_none_or(|before| text.get(before) == Some(&b'\n'));
        at_line_start && begins_file(first_line(text.get(at..).unwrap_or_default()).0)
    })
}

/// The first line without its end, and its length with it.
fn first_line(text: &[u8]) -> (&[u8], usize) {
    let len = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
    let line = text.get(..len).unwrap_or_default();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    (line.strip_suffix(b"\r").unwrap_or(line), len)
}

/// Reads the block at the beginning of a text and tells its length. A block that the text's end
/// cuts off gives what there is. Nothing is decoded before it is known to be one.
fn read(text: &[u8], most: usize) -> Option<(File, usize)> {
    let (first, start) = first_line(text);
    let name = begin(first)?;
    let (mut at, mut octets) = (start, 0);
    let end = loop {
        let rest = text.get(at..).unwrap_or_default();
        let (line, len) = first_line(rest);
        if rest.is_empty() || line.trim_ascii_end() == b"end" {
            break at + len;
        }
        octets += octets_of(line)?;
        at += len;
        if octets > most {
            return None;
        }
    };
    // An empty file has a line too: that of no octets.
    if at == start {
        return None;
    }
    let mut content = Vec::with_capacity(octets);
    let mut lines = text.get(start..at).unwrap_or_default();
    while !lines.is_empty() {
        let (line, len) = first_line(lines);
        decode_line(line, &mut content)?;
        lines = lines.get(len..).unwrap_or_default();
    }
    let name = name.to_vec();
    Some((File { name, content }, end))
}

fn value(byte: u8) -> Option<u8> {
    (32..=96)
        .contains(&byte)
        .then_some(byte.wrapping_sub(32) & 63)
}

/// How many octets a line stands for, if it is one of a file. Blanks at its end may be lost, and
/// some writers append a check character.
fn octets_of(line: &[u8]) -> Option<usize> {
    let Some((&first, data)) = line.split_first() else {
        return Some(0);
    };
    let count = usize::from(value(first)?);
    let wanted = count.div_ceil(3) * 4;
    let mut meant = data.iter().take(wanted);
    (data.len() <= wanted + 2 && meant.all(|&byte| value(byte).is_some())).then_some(count)
}

fn decode_line(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let end = out.len() + octets_of(line)?;
    let data = line.get(1..).unwrap_or_default();
    let mut group = 0;
    while out.len() < end {
        let at = |index: usize| data.get(group + index).copied().unwrap_or(b' ');
        let at = |index| value(at(index)).unwrap_or(0);
        let (a, b, c, d) = (at(0), at(1), at(2), at(3));
        out.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
        group += 4;
    }
    out.truncate(end);
    Some(())
}

/// Reads a body that is one file, block by block: what stands before `begin` and after `end` is not
/// of it, and a line that is none of a file is passed over.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    line: Vec<u8>,
    state: Progress,
    damaged: bool,
    /// Octets of input and of output so far.
    read: usize,
    given: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Before,
    Inside,
    Ended,
}

impl Decoder {
    /// No line of a file is longer.
    const LONGEST: usize = 256;
    /// A line that lost its blanks stands for more octets than it has: so many are believed beyond
    /// what was read.
    const TRUST: usize = 1 << 20;

    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.end_line(line, out);
            } else {
                self.hold(line);
                let mut held = std::mem::take(&mut self.line);
                self.end_line(&held, out);
                held.clear();
                self.line = held;
            }
        }
        self.hold(rest);
    }

    /// Keeps the beginning of a line until its end comes.
    fn hold(&mut self, piece: &[u8]) {
        let room = Self::LONGEST.saturating_sub(self.line.len());
        let kept = piece.get(..piece.len().min(room));
        self.line.extend_from_slice(kept.unwrap_or_default());
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let last = std::mem::take(&mut self.line);
        if !last.is_empty() {
            self.end_line(&last, out);
        }
        self.damaged |= self.state != Progress::Ended;
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn end_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let line = line
            .get(..line.len().min(Self::LONGEST))
            .unwrap_or_default();
        self.read = self.read.saturating_add(line.len() + 1);
        let line = line.trim_ascii_end();
        match self.state {
            Progress::Before if begins_file(line) => self.state = Progress::Inside,
            Progress::Inside if line == b"end" => self.state = Progress::Ended,
            Progress::Inside => {
                let given = octets_of(line).map(|octets| self.given.saturating_add(octets));
                match given.filter(|&given| given <= self.read.saturating_add(Self::TRUST)) {
                    Some(given) => {
                        self.given = given;
                        self.damaged |= decode_line(line, out).is_none();
                    }
                    None => self.damaged = true,
                }
            }
            Progress::Before | Progress::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8]) -> (Vec<u8>, Vec<File>) {
        super::split(text, usize::MAX, usize::MAX)
    }

    fn encode(name: &str, mut content: &[u8]) -> String {
        let mut text = Vec::new();
        let put_line = |line: &str| {
            text.extend(format!("{line}\r\n").into_bytes());
            Ok(())
        };
        write(name, &mut content, put_line).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_file_has_exact_lines() {
        assert_eq!(
            encode("cat.txt", b"Cat"),
            "begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n"
        );
        assert!(can_name("a b.txt") && !can_name(" ") && !can_name("é") && !can_name(""));
        assert_eq!(encode("e", b""), "begin 644 e\r\n`\r\nend\r\n");
        assert_eq!(
            encode("z", &[0, 0]),
            "begin 644 z\r\n\"````\r\n`\r\nend\r\n"
        );
    }

    #[test]
    fn files_are_taken_out_and_look_alikes_stay() {
        let block = "begin 644 a b.txt\n#0V%T\n \nend\n";
        let text = format!("before\n{block}between\n{block}after");
        let (plain, files) = split(text.as_bytes());
        assert_eq!(plain, b"before\nbetween\nafter");
        assert_eq!(files.len(), 2);
        assert_eq!(
            (&files[0].name[..], &files[0].content[..]),
            (&b"a b.txt"[..], &b"Cat"[..])
        );
        for text in [
            "begin 644 a party\nwith us on Sunday, all of you, and bring your friends along\nend",
            "begin at the beginning\nend",
            "We begin 644 x\n#0V%T\nend\n",
            "begin 644 x",
        ] {
            assert_eq!(
                split(text.as_bytes()),
                (text.as_bytes().to_vec(), vec![]),
                "{text}"
            );
        }
        assert_eq!(split(b"begin 644 cut\n#0V%T\n").1[0].content, b"Cat");
        let text = format!(
            "begin 644 x\n#0V%T\nend\nbegin 644 y\n{}end\n",
            "M\n".repeat(9)
        );
        let (plain, files) = super::split(text.as_bytes(), 100, 9);
        assert_eq!(files.len(), 1);
        assert!(plain.starts_with(b"begin 644 y"));
        assert_eq!(super::split(text.as_bytes(), 999, 1).1.len(), 1);
    }

    #[test]
    fn a_body_in_uuencode_is_read_and_its_damage_told() {
        let read = |text: &str, cut: usize| {
            let (mut decoder, mut out) = (Decoder::default(), Vec::new());
            for piece in text.as_bytes().chunks(cut) {
                decoder.feed(piece, &mut out);
            }
            decoder.finish(&mut out);
            (String::from_utf8(out).unwrap(), decoder.is_damaged())
        };
        let (grown, damaged) = read(&format!("begin 644 x\n{}end", "M\n".repeat(100_000)), 999);
        assert!(damaged && grown.len() <= 200_017 + Decoder::TRUST);
        for cut in 1..30 {
            for (text, expected, damaged) in [
                ("\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\nafter", "Cat", false),
                (
                    "begin 644 x\n#0V%T\nthis is no line\n#0V%T\n \nend",
                    "CatCat",
                    true,
                ),
                ("begin 644 x\n#0V%T", "Cat", true),
                ("no file", "", true),
            ] {
                assert_eq!(read(text, cut), (expected.to_owned(), damaged), "{text}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(content: Vec<u8>, more in "[a-z\n]{0,20}") {
            let text = encode("x", &content) + &more;
            let (plain, files) = split(text.as_bytes());
            proptest::prop_assert_eq!(plain, more.as_bytes());
            proptest::prop_assert_eq!(&files[0].content, &content);
        }

        #[test]
        fn any_text_is_taken_apart_without_loss(text in "(begin 644 x\n|end\n|#0V%T\n|`\n|M|\n){0,12}") {
            let (plain, files) = split(text.as_bytes());
            proptest::prop_assert!(plain.len() <= text.len());
            proptest::prop_assert!(!files.is_empty() || plain == text.as_bytes());
        }
    }
}
