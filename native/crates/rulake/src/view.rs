//! The content of one record, wherever it is.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::filter::View;
use crate::json::parse_object;
use crate::memtable::HeapRow;
use crate::segment::{Block, Segment};
use crate::state::Shared;
use crate::value::Object;
use crate::{Error, Result};

/// A record to be read. What has to be fetched for it is fetched once.
pub(crate) struct RowView<'a> {
    shared: &'a Shared,
    place: Place<'a>,
}

enum Place<'a> {
    Heap(&'a HeapRow),
    Stored {
        segment: &'a Segment,
        position: usize,
        block: OnceCell<Arc<Block>>,
        object: OnceCell<Option<Object>>,
    },
}

impl<'a> RowView<'a> {
    pub(crate) fn heap(shared: &'a Shared, row: &'a HeapRow) -> Self {
        Self {
            shared,
            place: Place::Heap(row),
        }
    }

    pub(crate) fn stored(shared: &'a Shared, segment: &'a Segment, position: usize) -> Self {
        let (block, object) = (OnceCell::new(), OnceCell::new());
        Self {
            shared,
            place: Place::Stored {
                segment,
                position,
                block,
                object,
            },
        }
    }

    /// A record of a block that is at hand.
    pub(crate) fn in_block(
        shared: &'a Shared,
        segment: &'a Segment,
        position: usize,
        block: &Arc<Block>,
    ) -> Self {
        let view = Self::stored(shared, segment, position);
        if let Place::Stored { block: cell, .. } = &view.place {
            let _ = cell.set(block.clone());
        }
        view
    }

    /// The metadata as it came.
    pub(crate) fn metadata_json(&self) -> Result<Option<&str>> {
        match &self.place {
            Place::Heap(heap) => Ok(heap.record.parts().metadata),
            Place::Stored { position, .. } => Ok(self.block()?.and_then(|b| b.metadata(*position))),
        }
    }

    fn block(&self) -> Result<Option<&Block>> {
        let Place::Stored {
            segment,
            position,
            block,
            ..
        } = &self.place
        else {
            return Ok(None);
        };
        if block.get().is_none() {
            let _ = block.set(segment.block_at(*position, &self.shared.cache)?);
        }
        Ok(block.get().map(|block| &**block))
    }

    fn parse(&self, text: &str) -> Result<Object> {
        // It was checked when it was accepted, and its block when it was read.
        parse_object(text, &self.shared.interner)
            .map_err(|error| Error::Internal(error.reason.into()))
    }
}

impl View for RowView<'_> {
    fn id(&self) -> Result<&str> {
        match &self.place {
            Place::Heap(heap) => Ok(heap.record.parts().id),
            Place::Stored {
                segment, position, ..
            } => segment.rows.id(*position),
        }
    }

    fn text(&self) -> Result<Option<&str>> {
        match &self.place {
            Place::Heap(heap) => Ok(heap.record.parts().text),
            Place::Stored { position, .. } => Ok(self.block()?.and_then(|b| b.text(*position))),
        }
    }

    fn metadata(&self) -> Result<Option<&Object>> {
        match &self.place {
            Place::Heap(heap) => {
                if let Some(object) = heap.parsed.get() {
                    return Ok(object.as_deref());
                }
                let object = match heap.record.parts().metadata {
                    Some(text) => Some(Box::new(self.parse(text)?)),
                    None => None,
                };
                Ok(heap.parsed.get_or_init(|| object).as_deref())
            }
            Place::Stored { object, .. } => {
                if let Some(object) = object.get() {
                    return Ok(object.as_ref());
                }
                let parsed = self
                    .metadata_json()?
                    .map(|text| self.parse(text))
                    .transpose()?;
                Ok(object.get_or_init(|| parsed).as_ref())
            }
        }
    }
}
