//! Reading the body of a part from where it lies, decoded block by block.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::base64;
use super::bytes::MessageBytes;
use super::charset;
use super::dots::Unstuffer;
use super::quoted_printable;
use super::structure::{Encoding, Part};
use super::uuencode;
use crate::error::{Error, Problem, Result};
use crate::limits::Limits;

/// Read at once: what a processor keeps near.
const BLOCK: u64 = 64 * 1024;
/// Handed on at once, but for the last: fewer and larger writes.
const READY: usize = 128 * 1024;

enum Decoder {
    Identity,
    Base64(base64::Decoder),
    QuotedPrintable(quoted_printable::Decoder),
    Uuencode(uuencode::Decoder),
}

impl Decoder {
    fn feed(&mut self, block: &mut Vec<u8>, out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.append(block),
            Self::Base64(decoder) => decoder.feed(block, out),
            Self::QuotedPrintable(decoder) => decoder.feed(block, out),
            Self::Uuencode(decoder) => decoder.feed(block, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Identity => {}
            Self::Base64(decoder) => decoder.finish(out),
            Self::QuotedPrintable(decoder) => decoder.finish(out),
            Self::Uuencode(decoder) => decoder.finish(out),
        }
    }

    fn is_damaged(&self) -> bool {
        match self {
            Self::Identity => false,
            Self::Base64(decoder) => decoder.is_damaged(),
            Self::QuotedPrintable(decoder) => decoder.is_damaged(),
            Self::Uuencode(decoder) => decoder.is_damaged(),
        }
    }
}

/// The decoded bytes of a body. Each block is handed on only after a look whether the file is
/// still the one that was judged.
pub(crate) struct BodyReader {
    bytes: Arc<dyn MessageBytes>,
    at: u64,
    end: u64,
    unstuffer: Option<Unstuffer>,
    decoder: Decoder,
    block: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
    finished: bool,
}

impl BodyReader {
    pub(crate) fn new(bytes: Arc<dyn MessageBytes>, part: &Part, dot_stuffed: bool) -> Self {
        let decoder = match part.encoding {
            Encoding::Identity | Encoding::Unknown(_) => Decoder::Identity,
            Encoding::Base64 => Decoder::Base64(base64::Decoder::default()),
            Encoding::QuotedPrintable => {
                Decoder::QuotedPrintable(quoted_printable::Decoder::default())
            }
            Encoding::Uuencode => Decoder::Uuencode(uuencode::Decoder::default()),
        };
        Self::with(bytes, part.body.clone(), dot_stuffed, decoder)
    }

    /// Reads bytes as they are, but for stuffed dots.
    pub(crate) fn raw(bytes: Arc<dyn MessageBytes>, range: Range<u64>, dot_stuffed: bool) -> Self {
        Self::with(bytes, range, dot_stuffed, Decoder::Identity)
    }

    fn with(
        bytes: Arc<dyn MessageBytes>,
        range: Range<u64>,
        dot_stuffed: bool,
        decoder: Decoder,
    ) -> Self {
        Self {
            bytes,
            at: range.start,
            end: range.end,
            unstuffer: dot_stuffed.then(Unstuffer::default),
            decoder,
            block: Vec::new(),
            ready: Vec::new(),
            given: 0,
            finished: false,
        }
    }

    /// The next decoded bytes, at least [`READY`] of them; less only at the end, and then none.
    pub(crate) fn next_block(&mut self) -> Result<&[u8]> {
        self.ready.clear();
        self.given = 0;
        while self.ready.len() < READY && !self.finished {
            self.decode_block()?;
        }
        Ok(&self.ready)
    }

    fn decode_block(&mut self) -> Result<()> {
        let size = self.end.saturating_sub(self.at).min(BLOCK);
        let block = &mut self.block;
        block.resize(usize::try_from(size).unwrap_or(0), 0);
        let count = self.bytes.read_at(block, self.at)?;
        self.bytes.verify()?;
        block.truncate(count);
        self.at += count as u64;
        if let Some(unstuffer) = &mut self.unstuffer {
            unstuffer.feed(block);
        }
        self.decoder.feed(block, &mut self.ready);
        if count == 0 || self.at >= self.end {
            self.finished = true;
            self.decoder.finish(&mut self.ready);
        }
        Ok(())
    }

    /// Whether what was read so far was not encoded as it should be.
    pub(crate) fn is_damaged(&self) -> bool {
        self.decoder.is_damaged()
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.ready.len() {
            self.next_block().map_err(io::Error::other)?;
        }
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.given += count;
        Ok(count)
    }
}

/// Copies a body; the error of the reading side keeps its kind.
pub(crate) fn copy(
    reader: &mut BodyReader,
    mut write: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let mut total = 0;
    loop {
        let block = reader.next_block()?;
        if block.is_empty() {
            return Ok(total);
        }
        write(block)?;
        total += block.len() as u64;
    }
}

/// The text of a part, and what was wrong with it.
pub(crate) fn text(
    bytes: Arc<dyn MessageBytes>,
    part: &Part,
    dot_stuffed: bool,
    limits: &Limits,
) -> Result<(String, Vec<Problem>)> {
    let mut reader = BodyReader::new(bytes, part, dot_stuffed);
    let len = usize::try_from(part.body.end - part.body.start).unwrap_or(usize::MAX);
    let room = len.min(limits.decoded_text).saturating_add(64 * 1024);
    let mut decoded = Vec::with_capacity(room);
    copy(&mut reader, |block| {
        decoded.extend(block);
        if decoded.len() > limits.decoded_text {
            return Err::<(), Error>(Limits::exceeded("decoded_text", limits.decoded_text));
        }
        Ok(())
    })?;
    let mut problems = Vec::new();
    if reader.is_damaged() {
        problems.push(Problem::new(
            "a text part is encoded wrongly; what could be read is shown",
        ));
    }
    let label = part.charset.as_deref().unwrap_or_default();
    let (text, problem) = charset::decode_owned(label.as_bytes(), decoded, limits.decoded_text)
        .ok_or_else(|| Limits::exceeded("decoded_text", limits.decoded_text))?;
    problems.extend(problem.map(Problem::new));
    Ok((text, problems))
}
