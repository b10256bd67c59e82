//! The parts of a large message, which the server gives apart: its text is read without the
//! attachment beside it.
//!
//! What the server says of the structure (`BODYSTRUCTURE`) is taken for the parts there are and
//! their sizes; what each is stands in its own header section, which is read. Where the two differ,
//! or a size turns out to be wrong, the message is read as any other.

use std::num::NonZeroU32;

use imap_next::imap_types::body::BodyStructure;
use imap_next::imap_types::core::Vec1;
use imap_next::imap_types::fetch::{MessageDataItem, MessageDataItemName, Part, Section};

use super::content::{BLOCK, ImapBytes, copy, piece, section_of};
use crate::error::{ErrorKind, Result};
use crate::format::fields;
use crate::format::structure::OutlinePart;

/// With more parts it is no faster.
const MOST: usize = 100;
/// The longest header section of a part.
const LONGEST: u32 = 64 * 1024;
/// Each part has this much room of its own behind the message.
const ROOM: u32 = 40;

/// Where in a part something is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    index: usize,
    is_body: bool,
    at: u64,
}

impl Place {
    pub(super) fn of(offset: u64) -> Option<Self> {
        let room = offset >> ROOM;
        // The message itself has the first two.
        let index = usize::try_from(room / 2)
            .unwrap_or(usize::MAX)
            .checked_sub(1)?;
        Some(Self {
            index,
            is_body: room % 2 == 1,
            at: offset & ((1 << ROOM) - 1),
        })
    }
}

fn base(index: usize, is_body: bool) -> u64 {
    ((index as u64 + 1) * 2 + u64::from(is_body)) << ROOM
}

pub(super) struct Apart {
    section: Vec<u8>,
    parts: Vec<Known>,
}

struct Known {
    /// In the outline, where the message is 0.
    parent: usize,
    number: Vec<NonZeroU32>,
    /// `None` for a multipart.
    size: Option<u64>,
    section: Vec<u8>,
}

impl Apart {
    /// `None` where the server does not say, or nothing that can be relied on.
    pub(super) fn ask(bytes: &ImapBytes) -> Result<Option<Self>> {
        let Some(section) = bytes.section().filter(|section| is_multipart(section)) else {
            return Ok(None);
        };
        let told = match bytes.ask(&[MessageDataItemName::BodyStructure]) {
            Err(error) if error.kind() == ErrorKind::MessageGone => return Err(error),
            // An odd structure is no reason not to read the message.
            Err(_) => return Ok(None),
            Ok(told) => told,
        };
        let structure = told.into_iter().find_map(|item| match item {
            MessageDataItem::BodyStructure(structure) => Some(structure),
            _ => None,
        });
        let Some(BodyStructure::Multi { bodies, .. }) = structure else {
            return Ok(None);
        };
        let mut parts = Vec::new();
        if !walk(&bodies, 0, &[], &mut parts) {
            return Ok(None);
        }
        let mut apart = Self {
            section: section.to_vec(),
            parts,
        };
        Ok(apart.ask_sections(bytes)?.then_some(apart))
    }

    fn ask_sections(&mut self, bytes: &ImapBytes) -> Result<bool> {
        const TOGETHER: usize = 10;
        for parts in self.parts.chunks_mut(TOGETHER) {
            let wanted: Option<Vec<Section<'static>>> = parts
                .iter()
                .map(|part| Some(Section::Mime(part_of(&part.number)?)))
                .collect();
            let Some(wanted) = wanted else {
                return Ok(false);
            };
            let items: Vec<_> = wanted
                .iter()
                .map(|section| piece(Some(section.clone()), 0, LONGEST))
                .collect();
            let told = match bytes.ask(&items) {
                Err(error) if error.kind() == ErrorKind::MessageGone => return Err(error),
                Err(_) => return Ok(false),
                Ok(told) => told,
            };
            for (part, section) in parts.iter_mut().zip(&wanted) {
                match section_of(&told, Some(section), 0) {
                    Some(octets) if octets.len() < LONGEST as usize => {
                        part.section = octets.into_owned();
                    }
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    pub(super) fn outline(&self, len: u64) -> Vec<OutlinePart> {
        let end = self.section.len() as u64;
        let message = OutlinePart {
            parent: None,
            section: self.section.clone(),
            header: 0..end,
            body: end..len,
            is_multipart: true,
        };
        let part = |(index, part): (usize, &Known)| {
            let (header, body) = (base(index, false), base(index, true));
            OutlinePart {
                parent: Some(part.parent),
                section: part.section.clone(),
                header: header..header + part.section.len() as u64,
                body: body..body + part.size.unwrap_or(0),
                is_multipart: part.size.is_none(),
            }
        };
        let parts = self.parts.iter().enumerate().map(part);
        std::iter::once(message).chain(parts).collect()
    }

    pub(super) fn read_at(
        &self,
        bytes: &ImapBytes,
        place: Place,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let Some(part) = self.parts.get(place.index) else {
            return Ok(0);
        };
        if !place.is_body {
            return Ok(copy(&part.section, place.at, buffer));
        }
        let size = part.size.unwrap_or(0);
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = place.at + done as u64;
            if at >= size {
                break;
            }
            done += part.read_block(bytes, place.index, at, rest)?;
        }
        Ok(done)
    }
}

impl Known {
    /// Octets of the block that a place is in, at least one. The last block must end where the
    /// server said that the part ends.
    fn read_block(
        &self,
        bytes: &ImapBytes,
        index: usize,
        at: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let block = u64::from(BLOCK);
        let (start, size) = (at / block * block, self.size.unwrap_or(0));
        let name = base(index, true) + start;
        let mut last = bytes.last();
        if last.0 != name || last.1.is_empty() {
            let first = u32::try_from(start).map_err(|_| bytes.misled())?;
            let section = part_of(&self.number).map(Section::Part);
            let items = [piece(section.clone(), first, BLOCK)];
            let told = bytes.ask(&items)?;
            let octets = section_of(&told, section.as_ref(), first);
            let octets = octets.ok_or_else(|| bytes.misled())?;
            if start + octets.len() as u64 != size.min(start + block) {
                return Err(bytes.misled());
            }
            *last = (name, octets.into_owned());
        }
        let left = usize::try_from(size - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let within = buffer.get_mut(..left).unwrap_or_default();
        Ok(copy(&last.1, at - start, within))
    }
}

fn is_multipart(section: &[u8]) -> bool {
    let content_type = fields::first(section, "Content-Type").map(|field| field.unfolded());
    let value = content_type.unwrap_or_default().to_ascii_lowercase();
    value.trim_ascii_start().starts_with(b"multipart/")
}

fn part_of(number: &[NonZeroU32]) -> Option<Part> {
    Some(Part(Vec1::try_from(number.to_vec()).ok()?))
}

/// The parts of a multipart in their order; `false` when there are too many. The parser has a limit
/// for their depth.
fn walk(
    bodies: &Vec1<BodyStructure<'static>>,
    parent: usize,
    number: &[NonZeroU32],
    parts: &mut Vec<Known>,
) -> bool {
    bodies.as_ref().iter().zip(1u32..).all(|(body, place)| {
        let mut number = number.to_vec();
        number.extend(NonZeroU32::new(place));
        let size = match body {
            BodyStructure::Single { body, .. } => Some(u64::from(body.basic.size)),
            BodyStructure::Multi { .. } => None,
        };
        parts.push(Known {
            parent,
            number: number.clone(),
            size,
            section: Vec::new(),
        });
        let own = parts.len();
        match body {
            _ if own > MOST => false,
            BodyStructure::Single { .. } => true,
            BodyStructure::Multi { bodies, .. } => walk(bodies, own, &number, parts),
        }
    })
}
