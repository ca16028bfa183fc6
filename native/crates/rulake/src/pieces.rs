//! Writing without holding a CPU for long.
//!
//! Linux without preemption, as servers have it, copies what one call writes in units of up to megabytes, 4 ms for one, and
//! whatever waits for the CPU meanwhile, such as an event loop, waits for all of it.

use std::fs::File;
use std::io::{self, Write};

/// Bytes handed to the system at a time.
pub(crate) const PIECE: usize = 128 << 10;

/// Hands on what is written in pieces.
pub(crate) struct Pieces<W>(pub(crate) W);

/// A buffered file that is written in pieces.
pub(crate) type BufferedFile = io::BufWriter<Pieces<File>>;

/// Buffers what is written to a file.
pub(crate) fn buffered(file: File) -> BufferedFile {
    io::BufWriter::with_capacity(PIECE, Pieces(file))
}

/// The file, once everything is written to it.
pub(crate) fn into_file(out: BufferedFile) -> io::Result<File> {
    let Pieces(file) = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file)
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes.get(..PIECE).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Calls(Vec<Vec<u8>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_arrives_and_no_call_is_large() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|i| (i % 251) as u8).collect();
        let mut out = Pieces(Calls(Vec::new()));
        out.write_all(&bytes).unwrap();
        let Calls(calls) = out.0;
        assert_eq!(calls.concat(), bytes);
        assert!(calls.iter().all(|call| call.len() <= PIECE));
    }
}
