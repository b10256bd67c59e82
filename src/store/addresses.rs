//! For whom there is mail in a drop: asked by its owner.

use std::collections::{BTreeMap, HashSet};

use super::drop::DropStore;
use super::marks::Marked;
use super::scan::Scan;
use crate::error::Result;

impl DropStore {
    /// The addresses that have messages, each once, in their order.
    pub(crate) fn addresses(&self) -> Result<Vec<String>> {
        #[cfg(feature = "index")]
        let mut found = match self.addresses_by_index() {
            Some(found) => found?,
            None => self.addresses_of_files()?,
        };
        #[cfg(not(feature = "index"))]
        let mut found = self.addresses_of_files()?;
        found.sort_unstable();
        Ok(found)
    }

    /// The same by reading the top of every file.
    fn addresses_of_files(&self) -> Result<Vec<String>> {
        let marked = Marked::look(&self.state)?;
        let mut misfits = HashSet::new();
        let mut found = BTreeMap::new();
        let (candidates, _) = self.candidates(self.next_look(), &mut Scan::default())?;
        for candidate in candidates {
            // What cannot be read is nobody's that we know; `problems` tells of it.
            let Ok(Some(file)) = self.find(&candidate, &marked, &mut misfits) else {
                continue;
            };
            for address in &file.opened.run.recipients {
                let key = self.key(address);
                if !file.deleted_by.contains(&key) {
                    found.entry(key).or_insert_with(|| address.to_string());
                }
            }
        }
        Ok(found.into_values().collect())
    }
}
