//! The text of a message: as it was sent, and as a person reads it.

use std::ops::Range;
use std::sync::Arc;

use super::Reading;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::body::{self, BodyReader};
use crate::format::structure::Part;
use crate::format::{charset, flowed, html, uuencode};
use crate::limits::Limits;

impl Reading {
    /// A text part in Unicode, and what was wrong with it.
    pub(super) fn body(&self, part: Option<&Arc<Part>>) -> Result<Option<(String, Vec<Problem>)>> {
        let Some(part) = part else { return Ok(None) };
        let bytes = self.origin.open()?;
        body::text(bytes, part, self.dot_stuffed, &self.limits).map(Some)
    }

    pub(crate) fn text_part(&self) -> Result<Option<String>> {
        let parsed = self.parsed()?;
        Ok(self.body(parsed.part(parsed.text))?.map(|(text, _)| text))
    }

    pub(crate) fn html_part(&self) -> Result<Option<String>> {
        let parsed = self.parsed()?;
        Ok(self.body(parsed.part(parsed.html))?.map(|(html, _)| html))
    }

    /// The files that stand uuencoded in the text.
    pub(super) fn uuencoded(&self) -> Result<Vec<uuencode::File>> {
        if self.has_uuencoded.get() == Some(&false) {
            return Ok(Vec::new());
        }
        let text = match self.text_part() {
            // A text that is too long costs its reader the text, not what is attached.
            Err(error) if error.kind() == ErrorKind::TooLarge => None,
            text => text?,
        };
        Ok(text.map_or_else(Vec::new, |text| self.without_files(text).1))
    }

    pub(crate) fn text(&self) -> Result<String> {
        let parsed = self.parsed()?;
        let part = parsed.part(parsed.text);
        let stray = self.stray(part.and_then(|part| part.stray.clone()))?;
        let text = self.text_part()?;
        let is_blank = text.as_deref().is_none_or(|text| text.trim().is_empty());
        if is_blank && stray.is_empty() {
            // An empty text beside the HTML is a programmer's oversight.
            if let Some(source) = self.html_part()? {
                return html::to_text_within(&source, self.limits.decoded_text)
                    .ok_or_else(|| self.too_large());
            }
        }
        let Some(text) = text else {
            return self.undivided();
        };
        let (text, _) = self.without_files(stray + &text);
        match part.and_then(|part| part.flowed) {
            Some(delete_space) => flowed::unfold(&text, delete_space, self.limits.decoded_text)
                .ok_or_else(|| self.too_large()),
            None => Ok(text),
        }
    }

    pub(crate) fn html_text(&self) -> Result<String> {
        match self.html_part()? {
            Some(html) => Ok(html),
            None => html::from_text_within(&self.text()?, self.limits.decoded_text)
                .ok_or_else(|| self.too_large()),
        }
    }

    fn too_large(&self) -> Error {
        Limits::exceeded("decoded_text", self.limits.decoded_text)
    }

    /// Text where no reader looks for it: in a multipart in which no part begins.
    fn undivided(&self) -> Result<String> {
        let parts = &self.parsed()?.structure.parts;
        let whole = parts.iter().find(|part| part.is_undivided);
        self.stray(whole.map(|whole| whole.body.clone()))
    }

    /// What stands there, as text without a label.
    fn stray(&self, range: Option<Range<u64>>) -> Result<String> {
        let Some(range) = range else {
            return Ok(String::new());
        };
        let bytes = self.origin.open()?;
        let mut reader = BodyReader::raw(bytes, range, self.dot_stuffed);
        let mut octets = Vec::new();
        body::copy(&mut reader, |block| {
            octets.extend(block);
            if octets.len() > self.limits.decoded_text {
                return Err(self.too_large());
            }
            Ok(())
        })?;
        charset::decode_owned(b"", octets, self.limits.decoded_text)
            .map(|(text, _)| text)
            .ok_or_else(|| self.too_large())
    }

    /// The text without the files in it, and the files.
    fn without_files(&self, text: String) -> (String, Vec<uuencode::File>) {
        if self.has_uuencoded.get() == Some(&false) || !text.contains("begin ") {
            return (text, Vec::new());
        }
        let limits = &self.limits;
        let (plain, files) = uuencode::split(text.as_bytes(), limits.decoded_text, limits.parts);
        self.has_uuencoded.get_or_init(|| !files.is_empty());
        if files.is_empty() {
            return (text, files);
        }
        drop(text);
        let plain = String::from_utf8(plain)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        (plain, files)
    }
}
