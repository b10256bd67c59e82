//! What is wrong with a message and how it was read nevertheless, in words for a person.

use super::Reading;
use crate::error::{ErrorKind, Problem, Problems, Result};
use crate::format::body;
use crate::format::fields::{self, Field};
use crate::format::structure::Encoding;

/// Fields of which a message has one (RFC 5322 section 3.6). Of To and Cc all are read.
const SINGLE: [&str; 6] = [
    "From",
    "Date",
    "Subject",
    "Reply-To",
    "Message-ID",
    "Content-Type",
];

impl Reading {
    pub(crate) fn problems(&self) -> Result<Vec<Problem>> {
        let parsed = self.parsed()?;
        let mut problems = parsed.structure.problems.clone();
        self.header_problems(&mut problems)?;
        for index in [parsed.text, parsed.html] {
            match self.body(parsed.part(index)) {
                Ok(body) => problems.extend(&body.map(|(_, found)| found).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    problems.say(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        for part in &parsed.structure.parts {
            if let Encoding::Unknown(name) = &part.encoding {
                problems.say(format!(
                    "the transfer encoding `{name}` is not known; the part is shown as it is"
                ));
            }
        }
        self.attachment_problems(&mut problems)?;
        Ok(problems.into_vec())
    }

    fn header_problems(&self, problems: &mut Problems) -> Result<()> {
        let parsed = self.parsed()?;
        let section = parsed.header();
        for name in ["Date", "From"] {
            if fields::first(section, name).is_none() {
                problems.say(format!("the field `{name}` is missing"));
            }
        }
        for name in SINGLE {
            let mut all = fields::fields(section).filter(|field| field.is(name));
            if all.nth(1).is_some() {
                problems.say(format!(
                    "the field `{name}` stands there more than once; the first counts"
                ));
            }
        }
        for field in fields::fields(section).filter(has_raw_bytes) {
            problems.say(format!(
                "the field `{}` holds unencoded characters that are no UTF-8; they are read as \
                 windows-1252",
                field
                    .name
                    .get(..field.name.len().min(80))
                    .unwrap_or_default()
            ));
        }
        if self.value("Date")?.is_some() && self.time_sent()?.is_none() {
            problems.say("the field `Date` holds no date");
        }
        if self.value("From")?.is_some() && self.sender()?.address.is_empty() {
            problems.say("the field `From` holds no address");
        }
        Ok(())
    }

    /// Reads what is encoded to its end: how else would one know?
    fn attachment_problems(&self, problems: &mut Problems) -> Result<()> {
        for attachment in &self.attachments()? {
            let part = attachment.part();
            if let Encoding::Identity | Encoding::Unknown(_) = part.part().encoding {
                continue;
            }
            let mut reader = part.decoded()?;
            body::copy(&mut reader, |_| Ok(()))?;
            if reader.is_damaged() {
                problems.say(format!(
                    "the attachment `{}` is encoded wrongly; what could be read is given",
                    attachment.name()
                ));
            }
        }
        Ok(())
    }
}

fn has_raw_bytes(field: &Field<'_>) -> bool {
    std::str::from_utf8(field.raw).is_err()
}
