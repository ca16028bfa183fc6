//! Chunks of a scan as Arrow data.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::options::Include;
use crate::read::Found;
use crate::scan::Scan;
use crate::{Error, Result};

impl Scan {
    /// Some more records as one Arrow IPC stream, schema and record batch: `id`, and as asked for `text`, `metadata`
    /// (JSON) and `vector` (a fixed-size list of f32). `None` if none are left.
    ///
    /// # Errors
    /// `CORRUPT_FILE` when a damaged block is read; `CANCELLED`.
    pub fn next_arrow(
        &mut self,
        rows: usize,
        bytes: usize,
        cancel: Option<&AtomicBool>,
    ) -> Result<Option<Vec<u8>>> {
        let chunk = self.next_chunk(rows, bytes, cancel)?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let batch = to_batch(&chunk, self.include(), self.dimensions());
        let bytes = batch.and_then(|batch| {
            let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
            writer.write(&batch)?;
            writer.into_inner()
        });
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }
}

fn to_batch(
    chunk: &[Found],
    include: Include,
    dimensions: Option<usize>,
) -> Result<RecordBatch, ArrowError> {
    let ids = StringArray::from_iter_values(chunk.iter().map(|found| found.id.as_str()));
    let mut fields = vec![Field::new("id", DataType::Utf8, false)];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(ids)];
    let mut strings = |name: &str, values: StringArray| {
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(Arc::new(values));
    };
    if include.text {
        strings(
            "text",
            chunk.iter().map(|found| found.text.as_deref()).collect(),
        );
    }
    if include.metadata {
        let values = chunk.iter().map(|found| found.metadata.as_deref());
        strings("metadata", values.collect());
    }
    if include.vector {
        let width = dimensions.unwrap_or(0);
        let size = i32::try_from(width).unwrap_or(0);
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        fields.push(Field::new_fixed_size_list(
            "vector",
            item.clone(),
            size,
            true,
        ));
        let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), size).with_field(item);
        for found in chunk {
            match &found.vector {
                Some(vector) => vectors.values().append_slice(vector),
                None => vectors.values().append_nulls(width),
            }
            vectors.append(found.vector.is_some());
        }
        columns.push(Arc::new(vectors.finish()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float32Type;
    use arrow_ipc::reader::StreamReader;

    use crate::{Batch, CollectionOptions, Durability, Include, Lake};

    #[test]
    fn chunks_hold_the_columns_that_were_asked_for() {
        let lake = Lake::in_memory();
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        let mut batch = Batch::new();
        batch
            .push_with_vector("a", &[1.0, 2.0], Some("one"), None)
            .unwrap();
        batch.push("b", None, Some("{\"n\": 1}")).unwrap();
        docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
        let include = Include {
            vector: true,
            text: true,
            metadata: true,
        };
        let mut scan = docs.scan(None, include).unwrap();
        let bytes = scan.next_arrow(10, usize::MAX, None).unwrap().unwrap();
        assert!(scan.next_arrow(10, usize::MAX, None).unwrap().is_none());
        let mut reader = StreamReader::try_new(&*bytes, None).unwrap();
        let chunk = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let strings = |name| chunk.column_by_name(name).unwrap().as_string::<i32>();
        assert_eq!((strings("id").value(0), strings("id").value(1)), ("a", "b"));
        assert_eq!(strings("text").value(0), "one");
        assert!(strings("text").is_null(1) && strings("metadata").is_null(0));
        assert_eq!(strings("metadata").value(1), "{\"n\": 1}");
        let vectors = chunk.column_by_name("vector").unwrap().as_fixed_size_list();
        assert!(vectors.is_null(1));
        assert_eq!(
            vectors.value(0).as_primitive::<Float32Type>().values(),
            &[1.0, 2.0]
        );
        let mut ids = docs.scan(None, Include::default()).unwrap();
        let bytes = ids.next_arrow(1, usize::MAX, None).unwrap().unwrap();
        let chunk = StreamReader::try_new(&*bytes, None)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!((chunk.num_columns(), chunk.num_rows()), (1, 1));
    }
}
