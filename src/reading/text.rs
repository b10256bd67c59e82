//! The text of a message: as it was sent, and as a person reads it.

use std::sync::Arc;

use super::Reading;
use crate::error::{Error, Problem, Result};
use crate::format::structure::Part;
use crate::format::{body, bytes, charset, fields, flowed, html, uuencode};
use crate::limits::Limits;

impl Reading {
    /// A text part in Unicode, and what was wrong with it.
    pub(super) fn body(&self, part: Option<&Arc<Part>>) -> Result<Option<(String, Vec<Problem>)>> {
        let Some(part) = part else { return Ok(None) };
        let (bytes, _) = self.origin.open()?;
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
        let text = self.text_part()?;
        Ok(text.map_or_else(Vec::new, |text| self.without_files(text).1))
    }

    pub(crate) fn text(&self) -> Result<String> {
        let parsed = self.parsed()?;
        match self.text_part()? {
            Some(text) if text.is_empty() => self.stray_text(),
            Some(text) => {
                let (text, _) = self.without_files(text);
                let flowed = parsed.part(parsed.text).and_then(|part| part.flowed);
                match flowed {
                    Some(delete_space) => {
                        flowed::unfold(&text, delete_space, self.limits.decoded_text)
                            .ok_or_else(|| self.too_large())
                    }
                    None => Ok(text),
                }
            }
            None => match self.html_part()? {
                Some(source) => html::to_text_within(&source, self.limits.decoded_text)
                    .ok_or_else(|| self.too_large()),
                None => self.stray_text(),
            },
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

    /// Text where no reader looks for it: in a multipart in which no part begins, or directly
    /// below the header without the empty line between them.
    fn stray_text(&self) -> Result<String> {
        let structure = &self.parsed()?.structure;
        if let Some(whole) = structure.parts.first().filter(|part| part.is_undivided) {
            let range = whole.body.clone();
            if range.end - range.start > self.limits.decoded_text as u64 {
                return Err(self.too_large());
            }
            let (bytes, _) = self.origin.open()?;
            let text = bytes::read_range(bytes.as_ref(), range.start, range.end)?;
            bytes.verify()?;
            let text = charset::decode_within(b"", &text, self.limits.decoded_text);
            return text.map(|(text, _)| text).ok_or_else(|| self.too_large());
        }
        let section = &structure.header;
        let start = match fields::first_foreign(section) {
            Some(start) if structure.is_all_header => start,
            _ => return Ok(String::new()),
        };
        let text = section.get(start..).unwrap_or_default();
        Ok(charset::decode_unlabelled(text).into_owned())
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
        (String::from_utf8_lossy(&plain).into_owned(), files)
    }
}
